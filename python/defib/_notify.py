"""Tell the supervisor how far this program is.

Without a supervisor each call looks into the environment and returns. Under `defib run` (or
systemd) it is one datagram to `$NOTIFY_SOCKET`, as in sd_notify(3). In a worker it is a line
on the control descriptor: the worker sets a sink for that. Nothing here blocks or raises.
"""

import os
import socket
import time
from typing import Any, Callable, Dict, Optional

# Ten a second is enough for people and keeps a tight loop from flooding the supervisor.
PROGRESS_INTERVAL_S = 0.1
STATUS_LIMIT = 1000

Sink = Callable[[Dict[str, Any]], None]

_sink: Optional[Sink] = None
_socket: Optional[socket.socket] = None
_last_progress_at = float("-inf")
_last_total_reached: Any = None


def ready() -> None:
    """Say that the start is over and work begins. Never raises."""
    if _sink is None:
        _notify("READY=1")


def heartbeat() -> None:
    """Say that the program lives, for `defib run --heartbeat`. Never raises."""
    if _sink is not None:
        _sink({"is": "heartbeat"})
    else:
        _notify("WATCHDOG=1")


def stage(name: str) -> None:
    """Say what begins now, such as "loading weights". Never raises."""
    if _sink is not None:
        _sink({"is": "stage", "name": str(name)})
    else:
        _notify("STATUS=" + _one_line(name))


def progress(done: float, total: Optional[float] = None, text: Optional[str] = None) -> None:
    """Say that `done` of `total` units are done; the unit is yours. Counts as a heartbeat.

    At most ten a second are sent, and the one that reaches the total. Never raises.
    """
    if _sink is None and "NOTIFY_SOCKET" not in os.environ:
        return
    if not _is_due(done, total):
        return
    if _sink is not None:
        _sink({"is": "progress", "done": done, "total": total, "text": text})
        return
    figures = "{}".format(done) if total is None else "{}/{}".format(done, total)
    words = figures if text is None else "{} {}".format(figures, text)
    _notify("STATUS=" + _one_line(words) + "\nWATCHDOG=1")


def set_sink(sink: Optional[Sink]) -> None:
    """Send everything to `sink` instead of the socket. For the worker."""
    global _sink
    _sink = sink


def _is_due(done: Any, total: Any) -> bool:
    """Whether this progress may be sent. A race of two threads costs one message at most."""
    global _last_progress_at, _last_total_reached
    now = time.monotonic()
    if total is not None and done == total:
        # A program that stands at the end and says so again is held to the usual pace.
        first_time = _last_total_reached != total
        _last_total_reached = total
    else:
        first_time = False
        _last_total_reached = None
    if not first_time and now - _last_progress_at < PROGRESS_INTERVAL_S:
        return False
    _last_progress_at = now
    return True


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())[:STATUS_LIMIT]


def _notify(message: str) -> None:
    """Send one datagram. The socket is unconnected, so threads and forks may share it."""
    global _socket
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    try:
        if _socket is None:
            _socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _socket.sendto(message.encode("utf-8", "replace"), socket.MSG_DONTWAIT, address)
    except (OSError, ValueError):
        # A supervisor that is gone or does not read must not disturb the program.
        pass
