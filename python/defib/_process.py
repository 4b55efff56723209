"""One process of an isolated function, seen from the program that calls it."""

import contextlib
import os
import pickle
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from typing import IO, Any, Callable, Dict, Optional

from defib import _frames

# A dump of the stacks takes about a millisecond; it never comes where signals are blocked.
STACK_WAIT_S = 0.06
STACK_QUIET_S = 0.01
KILL_WAIT_S = 2.0

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_COMMAND = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from defib._isolated_child import main; main(*map(int, sys.argv[2:]))"
)


class Process:
    """A keeper and its child. Used by one call at a time; `kill` may come from any thread."""

    def __init__(self, keeper: "subprocess.Popen[bytes]", channel: socket.socket, dump: IO[bytes]):
        self._keeper = keeper
        self._channel = channel
        self._dump = dump
        self._child_pid: Optional[int] = None
        self._kill_lock = threading.Lock()
        self.is_killed = False

    @staticmethod
    def start(target: Dict[str, Any]) -> "Process":
        """Start the pair. `target` says which function, and its memory limit in bytes."""
        setup = pickle.dumps({**target, **_surroundings(target["module"])})
        process = _starter().run(_launch)
        try:
            _frames.send(process._channel, setup)
        except OSError:
            pass  # It died at once. The call finds the end of the channel and says so.
        return process

    def ask(self, request: bytes, deadline: float) -> bytearray:
        """Send a call and return the pickled outcome."""
        _frames.send(self._channel, request, deadline)
        if self._child_pid is None:
            self._child_pid = int(_frames.receive(self._channel, deadline))
        return _frames.receive(self._channel, deadline)

    def is_idle_and_well(self) -> bool:
        """Nothing comes from an idle child but the end of the channel."""
        return not self.is_killed and not _is_readable(self._channel.fileno(), 0)

    def stack(self) -> str:
        """The Python stacks of the child now, or "" where it does not give them."""
        if self._child_pid is None:
            return ""
        try:
            os.kill(self._child_pid, signal.SIGUSR2)
        except ProcessLookupError:
            return ""
        pieces = []
        wait = STACK_WAIT_S
        while _is_readable(self._dump.fileno(), wait):
            piece = os.read(self._dump.fileno(), 65536)
            if not piece:
                break
            pieces.append(piece)
            wait = STACK_QUIET_S
        lines = b"".join(pieces).decode("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if not _is_machinery(line))

    def begin_kill(self) -> None:
        """Ask the keeper to end the child and all it started; the keeper is never busy."""
        self.is_killed = True
        with contextlib.suppress(ProcessLookupError):
            self._keeper.send_signal(signal.SIGTERM)

    def kill(self) -> Optional[int]:
        """End everything; return how the child ended, as in `subprocess`, or None."""
        with self._kill_lock:
            if self._channel.fileno() < 0:
                return self._keeper.returncode
            self.begin_kill()
            try:
                self._keeper.wait(KILL_WAIT_S)
            except subprocess.TimeoutExpired:
                # Somebody stopped the keeper, or the child cannot be killed (state D).
                self._kill_without_keeper()
            self._channel.close()
            self._dump.close()
            return self._keeper.poll()

    def _kill_without_keeper(self) -> None:
        if self._child_pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child_pid, signal.SIGKILL)
        self._keeper.kill()

    def forget(self) -> None:
        """In a fork: close what was inherited, and leave the process to the parent."""
        self.is_killed = True
        self._keeper.returncode = 0
        self._channel.close()
        self._dump.close()


def _launch() -> Process:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    dump_read, dump_write = os.pipe()
    try:
        keeper = subprocess.Popen(
            [
                sys.executable,
                *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
                "-c",
                _COMMAND,
                _ROOT,
                str(theirs.fileno()),
                str(dump_write),
                str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), dump_write),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        os.close(dump_read)
        raise
    finally:
        theirs.close()
        os.close(dump_write)
    return Process(keeper, ours, open(dump_read, "rb", buffering=0))


def _is_readable(fd: int, wait_s: float) -> bool:
    """`poll`, because `select` fails for descriptors above 1023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _is_machinery(line: str) -> bool:
    """Whether a line of a stack is this package's own, below the function of the user."""
    return "_isolated_child.py\"" in line or line.startswith('  File "<string>", line 1')


def _surroundings(module: str) -> Dict[str, Any]:
    """What the child needs to import as this program does."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    if module == "__main__" and spec is None and (file is None or not os.path.exists(file)):
        raise TypeError(
            "the function was typed in or given with -c; isolated needs it in a file, because "
            "another process has to import it"
        )
    # Results that are objects of the main module come back under the child's name for it.
    sys.modules.setdefault("__mp_main__", main)
    return {
        "sys_path": list(sys.path),
        "argv": list(sys.argv),
        "main_name": None if spec is None else spec.name,
        "main_file": None if file is None else os.path.abspath(file),
    }


class _Starter:
    """A thread that starts processes and never ends.

    The kernel sends the signal of a parent's death when the *thread* that started a child
    ends. Calls come from threads that end; their children must not.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        threading.Thread(target=self._work, name="defib starter", daemon=True).start()

    def run(self, job: Callable[[], Process]) -> Process:
        answer: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self._jobs.put((job, answer))
        process, error = answer.get()
        if error is not None:
            raise error
        return process  # type: ignore[no-any-return]

    def _work(self) -> None:
        while True:
            job, answer = self._jobs.get()
            try:
                answer.put((job(), None))
            except BaseException as error:
                answer.put((None, error))


_starter_lock = threading.Lock()
_the_starter: Optional[_Starter] = None


def _starter() -> _Starter:
    global _the_starter
    with _starter_lock:
        if _the_starter is None or _the_starter.pid != os.getpid():
            _the_starter = _Starter()
        return _the_starter


def _new_lock_after_fork() -> None:
    global _starter_lock
    _starter_lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock_after_fork)
