"""`watch_loop`: names the line that blocks an asyncio event loop.

A daemon thread asks the loop to answer, again and again. When no answer comes within the
threshold, it reads the stack of the loop's thread and logs the innermost line of the user's
own code.
"""

import logging
import os
import sys
import sysconfig
import threading
import time
import traceback
import types
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("defib")
# After SIGCONT or a long pause of the machine both threads wake at once: let the loop answer.
_GRACE_S = 0.02

_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
) + (os.path.join(os.path.dirname(os.path.abspath(__file__)), ""),)


class Blocked:
    """One place that blocked the loop. Times are in seconds, and a little too short: they
    count from the question that was not answered.
    """

    def __init__(self, file: str, line: int, function: str, stack: str) -> None:
        self.file = file
        self.line = line
        self.function = function
        self.stack = stack
        self.count = 0
        self.longest_s = 0.0
        self.total_s = 0.0

    @property
    def place(self) -> str:
        return "{}:{} in {}".format(self.file, self.line, self.function)

    def __repr__(self) -> str:
        return "<Blocked {}, {} times, longest {:.1f} s>".format(
            self.place, self.count, self.longest_s
        )


class LoopWatch:
    """A watched loop. `blocked` has one record for each place, in the order they were seen."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", threshold: float) -> None:
        self._loop = loop
        self._threshold = threshold
        self._records: Dict[Tuple[str, int], Blocked] = {}
        self._stopping = threading.Event()
        self._thread_id: Optional[int] = None
        self._thread = threading.Thread(target=self._work, name="defib watch", daemon=True)
        self._thread.start()

    @property
    def blocked(self) -> List[Blocked]:
        return list(self._records.values())

    def stop(self) -> None:
        """Stop watching. May be called from any thread, and more than once."""
        self._stopping.set()

    def _work(self) -> None:
        while not self._stopping.wait(self._threshold / 4):
            asked_at = time.monotonic()
            answered = threading.Event()
            try:
                self._loop.call_soon_threadsafe(self._answer, answered)
            except RuntimeError:
                return  # The loop is closed.
            if answered.wait(self._threshold) or answered.wait(_GRACE_S):
                continue
            self._wait_for_answer(answered, asked_at)

    def _answer(self, answered: threading.Event) -> None:
        self._thread_id = threading.get_ident()
        answered.set()

    def _wait_for_answer(self, answered: threading.Event, asked_at: float) -> None:
        record = self._look(time.monotonic() - asked_at)
        while not answered.wait(self._threshold / 4):
            if self._stopping.is_set() or self._loop.is_closed():
                break
            if record is None:
                record = self._look(time.monotonic() - asked_at)
        if record is not None:
            self._count(record, time.monotonic() - asked_at)

    def _look(self, waited_s: float) -> Optional[Blocked]:
        """Find the place, and log it if it is new. None where the loop is not running."""
        if not self._loop.is_running() or self._thread_id is None:
            return None
        frame = sys._current_frames().get(self._thread_id)
        if frame is None:
            return None
        blame = _innermost_own(frame)
        key = (blame.f_code.co_filename, blame.f_lineno)
        record = self._records.get(key)
        if record is None:
            stack = "".join(traceback.format_stack(frame))
            record = Blocked(key[0], key[1], blame.f_code.co_name, stack)
            self._records[key] = record
            _log.warning(
                "the event loop has not answered for %.1f s, blocked at %s", waited_s, record.place
            )
        return record

    def _count(self, record: Blocked, lasted_s: float) -> None:
        record.count += 1
        record.total_s += lasted_s
        record.longest_s = max(record.longest_s, lasted_s)
        if record.count == 1:
            _log.warning("the event loop was blocked for %.1f s at %s", lasted_s, record.place)


def watch_loop(
    loop: "Optional[asyncio.AbstractEventLoop]" = None, threshold: float = 0.5
) -> LoopWatch:
    """Warn, through the logger "defib", when the loop does not answer for `threshold` seconds.

    `loop` is the running one if not given. Each place is logged once when it blocks, and once
    with the time it took. Raises RuntimeError without a running loop, and ValueError for a
    threshold that is not more than 0.
    """
    if threshold <= 0:
        raise ValueError("threshold must be more than 0 seconds, not {!r}".format(threshold))
    if loop is None:
        import asyncio  # Here, because who only uses the rest need not wait for it.

        loop = asyncio.get_running_loop()
    return LoopWatch(loop, threshold)


def _innermost_own(frame: types.FrameType) -> types.FrameType:
    """The innermost frame outside libraries; the innermost at all where there is none."""
    looked_at: Optional[types.FrameType] = frame
    while looked_at is not None:
        file = looked_at.f_code.co_filename
        if not file.startswith(_LIBRARIES) and not file.startswith("<"):
            return looked_at
        looked_at = looked_at.f_back
    return frame
