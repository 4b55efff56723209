import collections
import threading
import time

import numpy as np


class HotCache:
    """LRU of decoded clips; a background thread refreshes the oldest entries."""

    def __init__(self, size=32):
        self.size = size
        self._lock = threading.Lock()
        self._items = collections.OrderedDict()
        threading.Thread(target=self._refresh, name="refresh", daemon=True).start()

    def get(self, key):
        with self._lock:
            if key not in self._items:
                self._items[key] = self._decode(key)
                if len(self._items) > self.size:
                    self._items.popitem(last=False)
            return self._items[key]

    @staticmethod
    def _decode(key):
        return np.random.default_rng(key).random(16_000, dtype=np.float32)

    def _refresh(self):
        while True:
            with self._lock:
                for key in list(self._items)[:4]:
                    self._items[key] = self._decode(key)
                time.sleep(0.3)
            time.sleep(0.01)
