import collections
import zlib

import numpy as np


class EventBus:
    def __init__(self):
        self.handlers = collections.defaultdict(list)

    def on(self, kind, fn):
        self.handlers[kind].append(fn)

    def emit(self, kind, *args):
        for fn in self.handlers[kind]:
            fn(*args)


class Pipeline:
    def __init__(self, name, bus):
        self.name = name
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.weights = rng.standard_normal((5, 1024, 1024), dtype=np.float32)
        self.log = []
        bus.on("image", self.on_image)

    def on_image(self, name, seed, std):
        if name == self.name:
            self.log.append((seed, std))

    def generate(self, seed):
        x = np.random.default_rng(seed).standard_normal((16, 1024), dtype=np.float32)
        for w in self.weights:
            x = np.tanh(x @ w / 32)
        return x

    def unload(self):
        self.log.clear()
