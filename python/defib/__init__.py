"""Python's side of defib.

`stage`, `progress`, `heartbeat` and `ready` tell a supervisor how far a program is.
`isolated` runs a function in a process of its own and really ends it at its time limit.
`watch_loop` names the line that blocks an asyncio event loop.
`python -m defib.worker` hosts a predictor, for the worker pools to come.
"""

from defib._errors import RemoteError, Timeout, WorkerDied
from defib._isolated import isolated
from defib._notify import heartbeat, progress, ready, stage
from defib._watch import Blocked, LoopWatch, watch_loop

__all__ = [
    "Blocked",
    "LoopWatch",
    "RemoteError",
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
