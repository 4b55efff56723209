"""`isolated`: a function in a process of its own, which ends when its time is over.

A call takes an idle process of the function or starts one, sends the arguments over a socket
pair and waits for the outcome until the deadline. Each started process is a pair: a keeper,
which only waits and kills, and its child, which runs the function (`_isolated_child`). At the
deadline the stack of the child is taken, and the keeper ends the child and all it started.
"""

import atexit
import contextlib
import functools
import os
import pickle
import re
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, Union

from defib import _frames
from defib._errors import RemoteTraceback, Timeout, WorkerDied
from defib._process import Process

if TYPE_CHECKING:
    import asyncio

# Sockets take no time above 2^31 milliseconds.
LONGEST_S = 2e6
_SIZE = re.compile(r"\s*([0-9.]+)\s*([KMGT]?)(iB|B)?\s*", re.IGNORECASE)

# Set in the child to the function that it runs, so that recursion stays in one process.
running_here: Optional[Tuple[str, str]] = None
# Functions by module and qualified name: the child finds them below other decorators.
functions: Dict[Tuple[str, str], Callable[..., Any]] = {}
_pools: "weakref.WeakSet[_Pool]" = weakref.WeakSet()


def isolated(
    timeout: Any = 60,
    *,
    memory: Union[int, str, None] = None,
    start: str = "spawn",
    workers: int = 1,
) -> Any:
    """Run the decorated function in a process of its own, killed after `timeout` seconds.

    `timeout` covers the whole call: waiting for a free process, starting one, running, and
    the way of arguments and result. `memory` limits the data of the process, in bytes or as
    "4GiB"; beyond it the function gets MemoryError. `workers` is how many calls may run at
    the same time, each in a process of its own; others wait. `start` is always "spawn", a new
    interpreter: a fork of a program with threads or a GPU is not safe.

    The function must be importable by its name; arguments and result must be picklable. The
    decorated function also has `.aio(...)`, to await, and `.close()`, which ends its processes.

    Raises `Timeout`, `WorkerDied`, and what the function raises, with the remote traceback as
    its cause (`RemoteError` for what cannot be pickled). Decorating raises TypeError for a
    function without an importable name and ValueError for a limit that makes no sense.
    """
    if callable(timeout):
        return isolated()(timeout)
    if start != "spawn":
        raise ValueError('start must be "spawn", not {!r}'.format(start))
    # Not `timeout <= 0`: NaN compares false with everything.
    if isinstance(timeout, (str, bool)) or timeout is None or not 0 < timeout <= LONGEST_S:
        raise ValueError("timeout must be seconds, from above 0 to 2 million, not {!r}".format(timeout))
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError("workers must be a whole number from 1, not {!r}".format(workers))
    limit = _bytes_of(memory)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return _wrap(function, _Pool(function, float(timeout), limit, workers))

    return decorate


def key_of(function: Callable[..., Any]) -> Tuple[str, str]:
    """Module and qualified name. The main module has two names in a child."""
    module = "__main__" if function.__module__ == "__mp_main__" else function.__module__
    return module, function.__qualname__


def _wrap(function: Callable[..., Any], pool: "_Pool") -> Callable[..., Any]:
    key = key_of(function)
    functions[key] = function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if running_here == key:
            return function(*args, **kwargs)
        return pool.call(_Call(pool), args, kwargs)

    async def aio(*args: Any, **kwargs: Any) -> Any:
        return await _call_in_thread(pool, args, kwargs)

    call.aio = aio  # type: ignore[attr-defined]
    call.close = pool.close  # type: ignore[attr-defined]
    call.__defib_function__ = function  # type: ignore[attr-defined]
    return call


class _Cancelled(Exception):
    """Whoever awaited the call is gone."""


class _Call:
    """One call: its deadline, the process it has, and whether it was cancelled."""

    def __init__(self, pool: "_Pool") -> None:
        self.deadline = time.monotonic() + pool.timeout
        self.process: Optional[Process] = None
        self.cancelled = False


class _Pool:
    """The processes of one function: at most `workers`, made when needed, kept warm."""

    def __init__(
        self, function: Callable[..., Any], timeout: float, memory: Optional[int], workers: int
    ) -> None:
        module, qualname = key_of(function)
        if "<" in qualname:
            raise TypeError(
                "{} has no importable name; isolated needs a function at the top level of a "
                "module or in a class there".format(qualname)
            )
        self.name = "{}.{}".format(module, qualname)
        self.timeout = timeout
        self.workers = workers
        self._target = {"module": module, "qualname": qualname, "memory": memory}
        self._changed = threading.Condition()
        self._idle: List[Process] = []
        self._busy: List[Process] = []
        self._places = workers
        _pools.add(self)

    def call(self, call: _Call, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        request = pickle.dumps((args, kwargs), pickle.HIGHEST_PROTOCOL)
        self._take_place(call)
        try:
            answer = self._ask(call, request)
        finally:
            self._give_place_back()
        return _outcome(answer)

    def _take_place(self, call: _Call) -> None:
        with self._changed:
            while self._places == 0 and not call.cancelled:
                left = call.deadline - time.monotonic()
                if left <= 0:
                    raise Timeout(
                        "{} did not start within {:g} s: {} of {} processes were busy".format(
                            self.name, self.timeout, self.workers, self.workers
                        ),
                        self.timeout,
                    )
                self._changed.wait(left)
            if call.cancelled:
                raise _Cancelled()
            self._places -= 1

    def _give_place_back(self) -> None:
        with self._changed:
            self._places += 1
            self._changed.notify()

    def _ask(self, call: _Call, request: bytes) -> bytearray:
        process = self._process()
        try:
            with self._changed:
                call.process = process
                if call.cancelled:
                    raise _Cancelled()
            answer = process.ask(request, call.deadline)
        except _frames.DeadlineReached:
            stack = process.stack()
            process.kill()
            raise Timeout(
                "{} did not end within {:g} s".format(self.name, self.timeout), self.timeout, stack
            ) from None
        except (EOFError, ConnectionError):
            raise WorkerDied(self.name, process.kill()) from None
        except BaseException:
            # Such as Ctrl+C: the child is in the middle of something and serves no other call.
            process.kill()
            raise
        finally:
            self._release(call, process)
        return answer

    def _process(self) -> Process:
        """An idle process that still lives, or a new one."""
        with self._changed:
            process = self._idle.pop() if self._idle else None
            if process is not None:
                self._busy.append(process)
        if process is not None and process.is_idle_and_well():
            return process
        fresh = Process.start(self._target)
        with self._changed:
            if process is not None:
                self._busy.remove(process)
            self._busy.append(fresh)
        if process is not None:
            process.kill()
        return fresh

    def _release(self, call: _Call, process: Process) -> None:
        with self._changed:
            call.process = None
            if process in self._busy:
                self._busy.remove(process)
            if not process.is_killed:
                self._idle.append(process)
                return
        process.kill()

    def cancel(self, call: _Call) -> None:
        with self._changed:
            call.cancelled = True
            if call.process is not None:
                call.process.begin_kill()
            self._changed.notify_all()

    def close(self) -> None:
        """End all processes of this function, with everything they started.

        A call that is under way raises `WorkerDied`.
        """
        with self._changed:
            idle, self._idle = self._idle, []
            for process in idle + self._busy:
                process.begin_kill()
        for process in idle:
            process.kill()

    def forget(self) -> None:
        """In a fork: the processes belong to the parent."""
        for process in self._idle + self._busy:
            process.forget()
        self._changed = threading.Condition()
        self._idle, self._busy, self._places = [], [], self.workers


def _outcome(answer: bytearray) -> Any:
    """The value of an answer, or its exception raised."""
    value, error, traceback = pickle.loads(answer)
    if error is None:
        return value
    error.__cause__ = RemoteTraceback(traceback)
    raise error


async def _call_in_thread(pool: _Pool, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
    """A thread per call: the default executor would let calls wait beyond their deadline."""
    import asyncio  # Here, because children and programs without a loop need not wait for it.

    loop = asyncio.get_running_loop()
    future: "asyncio.Future[Tuple[Any, Optional[BaseException]]]" = loop.create_future()
    call = _Call(pool)

    def settle(value: Any, error: Optional[BaseException]) -> None:
        if not future.done():
            future.set_result((value, error))

    def run() -> None:
        value, failure = None, None
        try:
            value = pool.call(call, args, kwargs)
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:
            pass  # The loop was closed meanwhile: nobody waits for the answer.

    threading.Thread(target=run, name="defib " + pool.name, daemon=True).start()
    try:
        value, error = await future
    except asyncio.CancelledError:
        pool.cancel(call)
        raise
    if error is not None:
        raise error
    return value


def _bytes_of(memory: Union[int, str, None]) -> Optional[int]:
    """Bytes of 1000, "500MB" or "4GiB"; as on defib's command line, "4G" counts by 1024."""
    if memory is None:
        return None
    size = 0
    parts = _SIZE.fullmatch(memory) if isinstance(memory, str) else None
    if parts is not None:
        number, unit, rest = parts.groups()
        step = 1000 if unit and (rest or "").upper() == "B" else 1024
        with contextlib.suppress(ValueError):
            size = int(float(number) * step ** " KMGT".index(unit.upper() or " "))
    elif isinstance(memory, int) and not isinstance(memory, bool):
        size = memory
    if size <= 0:
        raise ValueError('memory must be bytes or like "4GiB", not {!r}'.format(memory))
    return size


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
