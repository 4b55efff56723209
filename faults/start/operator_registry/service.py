"""Answers launch requests from a queue."""
import queue
import threading

from registry import OPERATORS, launch


def worker(requests: "queue.Queue[tuple[str, int] | None]") -> None:
    while (request := requests.get()) is not None:
        print(request[0], launch(request[0], request[1], 64)[0])


if __name__ == "__main__":
    print(f"{len(OPERATORS)} operators", flush=True)
    requests: "queue.Queue[tuple[str, int] | None]" = queue.Queue()
    thread = threading.Thread(target=worker, args=(requests,))
    thread.start()
    for number, name in enumerate(OPERATORS):
        requests.put((name, number))
    requests.put(None)
    thread.join()
