import threading


class TookTooLong(Exception):
    pass


def call(seconds, function, *arguments):
    """Calls a function and gives up after so many seconds."""
    outcome = {}

    def run():
        try:
            outcome["value"] = function(*arguments)
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, name=f"call-{function.__name__}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TookTooLong(f"{function.__name__} did not answer in {seconds} s")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
