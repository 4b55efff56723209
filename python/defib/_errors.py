"""What an isolated function or a client can raise besides the exceptions of others."""

import signal
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from defib._client import Job


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


class ServerError(RuntimeError):
    """`defib serve` refused, or gave no answer that can be used.

    `status` is the HTTP status, None where no answer came; `message` what the server said;
    `retry_after` the seconds after which it wants to be asked again, where it said so.
    """

    def __init__(
        self,
        status: Optional[int],
        text: str,
        message: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.message = text if message is None else message
        self.retry_after = retry_after


class JobFailed(RuntimeError):
    """A job ended without a result.

    `cause` is the id of the cause, None for a job that was cancelled; `explanation` says it in
    a sentence; `report` is the report of defib, where there is one; `job` is the job.
    """

    def __init__(self, job: "Job") -> None:
        error = job.error or {}
        self.job = job
        self.cause: Optional[str] = error.get("cause")
        self.explanation: Optional[str] = error.get("explanation")
        self.report: Any = error.get("report")
        words = "was cancelled" if job.state == "cancelled" else "failed"
        if self.cause:
            words += ", {}".format(self.cause)
        if self.explanation:
            words += ": {}".format(self.explanation)
        super().__init__("job {} {}".format(job.id, words))


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
