"""A tree of processes that is hard to end: tree.py MARKER PIDFILE SHAPE(JSON).

A shape is {"kind": …, "children": [shape, …]}. Every process adds its pid and start
time to PIDFILE, so that the judge knows it also when it has hidden its name.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time

PIDFILE = sys.argv[2]

if os.environ.get("ROUND_TWIN"):
    # A look-alike: the same arguments, and none of the run.
    time.sleep(600)
    sys.exit()


def enter():
    with open("/proc/self/stat", "rb") as file:
        ticks = file.read().rpartition(b")")[2].split()[19].decode()
    fd = os.open(PIDFILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{os.getpid()} {ticks}\n".encode())
    os.close(fd)


def start_children(shape):
    for child in shape.get("children", []):
        if os.fork() == 0:
            be(child)


def be(shape):
    kind = shape["kind"]
    if kind in ("setsid", "daemon", "pipe-daemon", "bare-daemon"):
        os.setsid()
    if kind in ("daemon", "pipe-daemon", "bare-daemon") and os.fork() != 0:
        os._exit(0)
    if kind in ("daemon", "bare-daemon"):
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, 64)
    if kind in ("env-i", "bare-daemon") and not shape.get("executed"):
        # An empty environment: only the mark and the ancestry are left.
        shape = dict(shape, kind="env-i", executed=True)
        os.execve(sys.executable, [sys.executable, __file__, sys.argv[1], PIDFILE, json.dumps(shape)], {})
    enter()
    if kind == "term-ignoring":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    if kind == "exec":
        start_children(shape)
        os.execvp("sleep", [sys.argv[1] + "-sleep", "600"])
    start_children(shape)
    if kind == "threads":
        for _ in range(4):
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    if kind == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "forker":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if os.fork() == 0:
                enter()
                time.sleep(0.05)
                os._exit(0)
            time.sleep(0.01)
    if kind == "chain":
        # A child takes over, again and again: never twice the same pid.
        while True:
            time.sleep(0.003)
            if os.fork() != 0:
                os._exit(0)
            enter()
    if kind == "short":
        time.sleep(shape.get("seconds", 0.1))
        os._exit(shape.get("status", 0))
    if kind == "printer":
        try:
            while True:
                os.write(1, b"x" * 999 + b"\n")
                time.sleep(0.001)
        except OSError:
            pass
    if kind == "popen":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]]).wait()
    while True:
        time.sleep(600)


if __name__ == "__main__":
    be(json.loads(sys.argv[3]))
