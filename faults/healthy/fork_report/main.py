"""A watcher thread keeps an eye on memory while forked children evaluate one model each."""
import os
import threading
import time

import numpy as np


class Watcher(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.lock, self.wake, self.peak = threading.Lock(), threading.Event(), 0

    def run(self):
        while not self.wake.wait(60):
            with self.lock:
                self.peak = max(self.peak, int(open("/proc/self/statm").read().split()[1]))


def evaluate(model):
    rng = np.random.default_rng(model)
    end = time.monotonic() + 6
    worst = 0.0
    while time.monotonic() < end:
        worst = max(worst, float(np.abs(rng.standard_normal(20_000)).max()))
        time.sleep(0.02)
    return worst


def main():
    w = Watcher()
    w.start()
    failed = 0
    for model in range(2):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if evaluate(model) > 3 else 1)
        failed += os.waitpid(pid, 0)[1] != 0
    w.wake.set()
    print("failed", failed)


if __name__ == "__main__":
    main()
