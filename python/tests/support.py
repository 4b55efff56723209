"""What several tests need: waiting for a condition, looking at processes, a host of a worker."""

import functools
import json
import os
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOON_S = 20


def wait_for(condition, within_s=SOON_S):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("did not come within {} s".format(within_s))


def lives(pid):
    try:
        with open("/proc/{}/stat".format(pid), "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


@functools.lru_cache(maxsize=None)
def python_with(module):
    """An interpreter that has the module: this one, or the one with the packages of ./test."""
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(os.path.dirname(ROOT), "target")
    for python in (sys.executable, os.path.join(target, "faults-venv", "bin", "python")):
        if not os.path.exists(python):
            continue
        tried = subprocess.run(
            [python, "-c", "import " + module], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )
        if tried.returncode == 0:
            return python
    return None


def needs(test, module):
    """The interpreter, or the test is skipped; why is printed, as without it nobody would know."""
    python = python_with(module)
    if python is None:
        sys.stderr.write("\n{}: not tried, no interpreter here has {}\n".format(test.id(), module))
        test.skipTest("no interpreter here has " + module)
    return python


class Host:
    """What the program does: starts a worker and talks with it."""

    def __init__(self, folder, python=sys.executable):
        ours, theirs = socket.socketpair()
        self.control = ours
        self.lines = ours.makefile("rb")
        environment = dict(os.environ, PYTHONPATH=ROOT, DEFIB_CONTROL=str(theirs.fileno()))
        self.output = os.path.join(folder, "stdout")
        self.errors = os.path.join(folder, "stderr")
        with open(self.output, "w") as stdout, open(self.errors, "w") as stderr:
            self.process = subprocess.Popen(
                [python, "-m", "defib.worker"], cwd=folder, env=environment, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )
        theirs.close()

    def say(self, **message):
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, *kinds):
        """The next message of one of these kinds, and what came before it."""
        others = []
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            self.control.settimeout(max(0.01, deadline - time.monotonic()))
            line = self.lines.readline()
            if not line:
                raise AssertionError("the worker closed; it wrote:\n" + read(self.errors))
            message = json.loads(line)
            if message["is"] in kinds:
                return message, others
            others.append(message)
        raise AssertionError("none of {} came within {} s".format(kinds, SOON_S))

    def hang_up(self):
        self.lines.close()
        self.control.close()

    def end(self):
        self.hang_up()
        self.process.kill()
        self.process.wait()


def read(path):
    with open(path) as file:
        return file.read()
