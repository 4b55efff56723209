import logging
import threading
import time

import numpy as np

log = logging.getLogger("graph")


class Graph:
    """Runs named stages on a pool; a stage starts at once and collects what it is fed by."""

    def __init__(self, pool):
        self.pool = pool
        self.specs = {}
        self.futures = {}
        self.built = threading.Event()

    def add(self, name, fn, after=()):
        self.specs[name] = (fn, tuple(after))

    def launch(self):
        for name in self.specs:
            self.futures[name] = self.pool.submit(self._run, name)
        self.built.set()
        return self.futures

    def _run(self, name):
        self.built.wait()
        fn, after = self.specs[name]
        inputs = [self.futures[dep].result() for dep in after]
        log.info("%s starts", name)
        return fn(*inputs)


def decode():
    time.sleep(0.2)
    return np.zeros((24, 90, 160, 3), dtype=np.uint8)


def detect(frames, tracks):
    return [(i, f.mean()) for i, f in enumerate(frames)]


def track(frames, boxes):
    return {i: b for i, b in enumerate(boxes)}


def encode(tracks):
    return len(tracks)
