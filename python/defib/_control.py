"""The control descriptor of a worker: JSON lines in both directions, apart from stdout."""

import contextlib
import json
import os
import select
import socket
import threading
from typing import Any, Dict, Iterator

# A lossy message gives up after so long: progress must never hold up the program, nor
# deadlock in a signal handler that interrupted a message.
LOSSY_WAIT_S = 0.05


class Control:
    """One connection to the host. Messages may come from any thread."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._let_go)

    def messages(self) -> Iterator[Dict[str, Any]]:
        """What the host sends, until it closes. Raises ValueError for what is not JSON."""
        with self._socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line.decode("utf-8"))
                if not isinstance(message, dict):
                    raise ValueError("a message must be an object, not {!r}".format(message))
                yield message

    def wait_closed(self) -> None:
        """Return once the host has closed, read or not what it sent before."""
        poll = select.poll()
        # Nothing but the end, which is always told.
        poll.register(self._socket, 0)
        while True:
            try:
                if poll.poll():
                    return
            except (OSError, ValueError):
                return

    def send(self, message: Dict[str, Any]) -> None:
        """Send a message that must arrive. Raises OSError where the host is gone."""
        line = _line(message)
        with self._lock:
            self._socket.sendall(line)

    def send_lossy(self, message: Dict[str, Any]) -> None:
        """Send a message unless the host does not read. Never raises, nearly never waits."""
        if os.getpid() != self._pid:
            return
        try:
            line = _line(message)
            if not self._lock.acquire(timeout=LOSSY_WAIT_S):
                return
            try:
                poll = select.poll()
                poll.register(self._socket, select.POLLOUT)
                if poll.poll(0):
                    self._socket.sendall(line)
            finally:
                self._lock.release()
        except (OSError, ValueError, TypeError):
            pass

    def _let_go(self) -> None:
        # A fork that keeps the descriptor would hide the death of the worker from the host.
        with contextlib.suppress(OSError):
            os.close(self._socket.detach())


def _line(message: Dict[str, Any]) -> bytes:
    text = _dumps(message)
    if "\\ud" in text:
        text = _dumps(_whole(message))
    return text.encode("ascii") + b"\n"


def _dumps(message: Dict[str, Any]) -> str:
    return json.dumps(message, allow_nan=False, separators=(",", ":"), default=_plain)


def _whole(value: Any) -> Any:
    """Half of a surrogate pair, as in a name that is no UTF-8, is no text to others."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Figures may be numpy's or a tensor's."""
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError("{} does not fit into JSON".format(type(value).__name__))
