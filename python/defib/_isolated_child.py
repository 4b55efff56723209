"""The other side of `isolated`: a keeper and, as its child, the process of the function.

The keeper starts with nothing but this module, forks once, and then only waits for signals,
so nothing can hold it up. It gets SIGTERM when it shall end, also from the kernel when the
program that started it dies. It is the reaper of all that descends from it, so that it finds
also what the function has started in other sessions.
"""

import ctypes
import faulthandler
import importlib
import importlib.util
import os
import pickle
import resource
import signal
import socket
import sys
import time
import traceback
import types
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple

from defib import _frames, _isolated
from defib._errors import RemoteError

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_END_S = 1.5
_WAKING = {signal.SIGTERM, signal.SIGCHLD}


def main(channel_fd: int, dump_fd: int, caller: int) -> None:
    """Entry of the interpreter that `_process` starts."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAKING)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != caller:
        os._exit(0)  # The caller died before the kernel knew that we want to be told.
    keeper = os.getpid()
    child = os.fork()
    if child:
        os.close(channel_fd)
        os.close(dump_fd)
        _keep(child)
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _serve(channel_fd, dump_fd)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl({}) failed".format(option))


# The keeper.


def _keep(child: int) -> NoReturn:
    """Wait until the child ends or shall end; end all that is left; end like the child."""
    status = None
    while status is None:
        if signal.sigwait(_WAKING) == signal.SIGTERM:
            break
        status = _reap(child)
    _end_like(_end_all(child, status))


def _reap(child: int) -> Optional[int]:
    """Collect everything that has ended; return the status of the child if it is among it."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == child:
            status = found
        if pid == 0:
            return status


def _end_all(child: int, status: Optional[int]) -> Optional[int]:
    """Kill all descendants. Who loses its parent becomes ours and is found in the next round."""
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        children = _children_of(os.getpid())
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        found = _reap(child)
        status = found if found is not None else status
        if not children:
            break
        time.sleep(0.001)
    return status


def _children_of(parent: int) -> List[int]:
    """From /proc/PID/stat: the file `children` is missing in some kernels."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/{}/stat".format(name), "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # It ended meanwhile.
        if int(fields[1]) == parent:
            found.append(int(name))
    return found


def _end_like(status: Optional[int]) -> NoReturn:
    """End with the status of the child, so that the caller can tell it in words."""
    if status is not None and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(0 if status is None else os.WEXITSTATUS(status))


# The process of the function.


def _serve(channel_fd: int, dump_fd: int) -> NoReturn:
    for fd in (channel_fd, dump_fd):
        os.set_inheritable(fd, False)
    faulthandler.register(signal.SIGUSR2, file=dump_fd, all_threads=True, chain=False)
    channel = socket.socket(fileno=channel_fd)
    _frames.send(channel, str(os.getpid()).encode())
    try:
        setup = pickle.loads(_frames.receive(channel))
        _prepare(setup)
        function = None
        while True:
            request = _frames.receive(channel)
            function, answer = _answer(setup, function, request)
            del request
            _frames.send(channel, answer)
            del answer
    except (EOFError, ConnectionError):
        # The caller has closed or is gone. The keeper ends what the function has started.
        os._exit(0)


def _prepare(setup: Dict[str, Any]) -> None:
    sys.path[:] = setup["sys_path"]
    sys.argv[:] = setup["argv"]
    _Main.setup = setup
    if setup["memory"] is not None:
        # RLIMIT_DATA, not RLIMIT_AS: CUDA reserves far more addresses than it uses.
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = setup["memory"] if hard == resource.RLIM_INFINITY else min(setup["memory"], hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    _isolated.running_here = (setup["module"], setup["qualname"])


def _answer(
    setup: Dict[str, Any], function: Optional[Callable[..., Any]], request: bytearray
) -> Tuple[Optional[Callable[..., Any]], bytes]:
    """Run one call. The first one also imports the function: that may fail or take long."""
    try:
        if function is None:
            function = _find(setup["module"], setup["qualname"])
        args, kwargs = _Unpickler(_Reader(request)).load()
        value = function(*args, **kwargs)
        return function, pickle.dumps((value, None, None), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return function, _packed(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()


def _packed(error: BaseException) -> bytes:
    """The exception as it is, where it survives the way, and else a description of it."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        packed = pickle.dumps((None, error, text), pickle.HIGHEST_PROTOCOL)
        pickle.loads(packed)
        return packed
    except Exception:
        substitute = RemoteError(type(error).__qualname__, str(error))
        return pickle.dumps((None, substitute, text), pickle.HIGHEST_PROTOCOL)


def _find(module: str, qualname: str) -> Callable[..., Any]:
    if module == "__main__":
        found: Any = _Main.load()
    else:
        found = importlib.import_module(module)
    registered = _isolated.functions.get((module, qualname))
    if registered is not None:
        return registered
    for part in qualname.split("."):
        found = getattr(found, part)
    return getattr(found, "__defib_function__", found)  # type: ignore[no-any-return]


class _Main:
    """The main module of the caller, run here under another name when it is first needed."""

    setup: Dict[str, Any] = {}
    module: Optional[types.ModuleType] = None

    @classmethod
    def load(cls) -> types.ModuleType:
        if cls.module is not None:
            return cls.module
        name, file = cls.setup["main_name"], cls.setup["main_file"]
        # Not "__main__", so that the part below `if __name__ == "__main__"` is not run.
        module = types.ModuleType("__mp_main__")
        module.__file__ = file
        if name is not None:
            spec = importlib.util.find_spec(name)
            code = spec.loader.get_code(name)  # type: ignore[union-attr]
            module.__package__ = spec.parent  # type: ignore[union-attr]
        else:
            with open(file, "rb") as source:
                code = compile(source.read(), file, "exec")
        sys.modules["__main__"] = sys.modules["__mp_main__"] = module
        exec(code, module.__dict__)
        cls.module = module
        return module


class _Reader:
    """A file for the unpickler over the received bytes, without a copy of all of them."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = bytes(memoryview(self._data)[self._at : self._at + size])
        self._at += len(piece)
        return piece

    def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at) + 1
        return self.read((end or len(self._data)) - self._at)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("__main__", "__mp_main__"):
            _Main.load()
        return super().find_class(module, name)
