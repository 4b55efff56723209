"""Starts the stages of a job and sleeps until the system tells that one has ended."""
import os
import signal
import sys
import time

STAGES = {"decode": 3.8, "detect": 4.4, "encode": 7.5}
ended = {}


def collect(number, frame):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = os.waitstatus_to_exitcode(status)


def start(seconds):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        time.sleep(seconds)
        os._exit(0)
    return pid


def main():
    signal.signal(signal.SIGCHLD, collect)
    signal.signal(signal.SIGALRM, lambda *_: None)
    stages = {start(seconds): name for name, seconds in STAGES.items()}
    signal.setitimer(signal.ITIMER_REAL, 0.5, 5.0)
    while len(ended) < len(stages):
        signal.pause()
    print({stages[pid]: code for pid, code in ended.items()})
    return max(ended.values())


if __name__ == "__main__":
    sys.exit(main())
