"""Python's side of defib.

`stage`, `progress`, `heartbeat` and `ready` tell a supervisor how far a program is.
`isolated` runs a function in a process of its own and really ends it at its time limit.
`watch_loop` names the line that blocks an asyncio event loop.
`Client` hands jobs in to `defib serve`, waits for them and fetches what they made.
`python -m defib.worker` hosts a predictor, for the worker pools to come.
"""

from typing import TYPE_CHECKING, Any

from defib._errors import JobFailed, RemoteError, ServerError, Timeout, WorkerDied
from defib._isolated import isolated
from defib._notify import heartbeat, progress, ready, stage
from defib._watch import Blocked, LoopWatch, watch_loop

if TYPE_CHECKING:
    from defib._client import Client, Job, JobEvent

__all__ = [
    "Blocked",
    "Client",
    "Job",
    "JobEvent",
    "JobFailed",
    "LoopWatch",
    "RemoteError",
    "ServerError",
    "Timeout",
    "WorkerDied",
    "heartbeat",
    "isolated",
    "progress",
    "ready",
    "stage",
    "watch_loop",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The client, when it is first asked for: http and ssl would slow down every import."""
    if name not in ("Client", "Job", "JobEvent"):
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from defib import _client

    return getattr(_client, name)
