"""Versioned model weights, swapped while requests keep coming."""
import threading
import time

import numpy as np


class ModelRegistry:
    def __init__(self):
        self._mutex = threading.RLock()
        self._weights = {}
        self._version = 0
        self._listeners = []

    def subscribe(self, fn):
        self._listeners.append(fn)

    def swap(self, seed):
        with self._mutex:
            rng = np.random.default_rng(seed)
            self._weights["proj"] = rng.standard_normal((256, 256), dtype=np.float32)
            time.sleep(0.15)  # read from disk
            self._version += 1
            for fn in self._listeners:
                fn(self._version)

    def describe(self):
        with self._mutex:
            return {"version": self._version, "params": sum(w.size for w in self._weights.values())}

    def forward(self, x):
        with self._mutex:
            w = self._weights["proj"]
        return np.tanh(x @ w)


class MetricsHub:
    def __init__(self, registry):
        self._registry = registry
        self._mutex = threading.Lock()
        self._samples = []
        self._swaps = 0
        registry.subscribe(self.on_swap)

    def on_swap(self, version):
        with self._mutex:
            self._swaps += 1

    def record(self, ms):
        with self._mutex:
            self._samples.append(ms)

    def flush(self):
        with self._mutex:
            window, self._samples = self._samples, []
            p50 = float(np.median(window)) if window else 0.0
            time.sleep(0.1)  # format and rotate
            return {"p50_ms": round(p50, 2), "n": len(window), **self._registry.describe()}
