"""What a call of an isolated function can raise besides the function's own exceptions."""

import signal
from typing import Optional


class Timeout(TimeoutError):
    """The call did not end within its time limit. Its process has been killed.

    `stack` is the Python stack of every thread of the process at that moment, innermost call
    first. It is empty where the function had not started, or where signals were blocked.
    `timeout_s` is the limit in seconds.
    """

    def __init__(self, message: str, timeout_s: float, stack: str = "") -> None:
        super().__init__(message)
        self.timeout_s = timeout_s
        self.stack = stack


class WorkerDied(RuntimeError):
    """The process of the function ended before the function returned.

    `exit_status` is its status where it exited, `signal` the number where a signal ended it;
    the other one is None.
    """

    def __init__(self, function: str, returncode: Optional[int]) -> None:
        super().__init__("the process of {} {}".format(function, describe_end(returncode)))
        ended_by_signal = returncode is not None and returncode < 0
        self.exit_status = None if ended_by_signal else returncode
        self.signal = -returncode if returncode is not None and returncode < 0 else None


class RemoteError(Exception):
    """The function raised an exception that cannot be pickled. `type_name` is its class."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return "{}: {}".format(self.type_name, self.message)


class RemoteTraceback(Exception):
    """Carries the traceback from the other process, as the cause of what is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "in the process of the function\n\n{}".format(self.text)


def describe_end(returncode: Optional[int]) -> str:
    """Say in words how a process ended; `returncode` is as in `subprocess`."""
    if returncode is None:
        return "does not answer any more"
    if returncode >= 0:
        return "ended with exit status {}".format(returncode)
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "signal {}".format(-returncode)
    hint = ", perhaps by the kernel for lack of memory" if name == "SIGKILL" else ""
    return "was ended by {}{}".format(name, hint)
