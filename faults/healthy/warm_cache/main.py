"""A bounded cache of decoded images: fills up, then stays."""
import collections
import time

import numpy as np


class Lru:
    def __init__(self, capacity):
        self.capacity, self.items = capacity, collections.OrderedDict()

    def get(self, key, make):
        if key in self.items:
            self.items.move_to_end(key)
        else:
            self.items[key] = make(key)
            if len(self.items) > self.capacity:
                self.items.popitem(last=False)
        return self.items[key]


def decode(key):
    return np.random.default_rng(key).random((512, 512), dtype=np.float64)


def main():
    cache = Lru(60)
    keys = np.random.default_rng(0).zipf(1.3, 260) % 200
    for i, k in enumerate(keys):
        m = cache.get(int(k) + (i if i < 80 else 0), decode).mean()
        if i % 20 == 0:
            print(f"request {i} mean {m:.3f} cached {len(cache.items)}", flush=True)
        time.sleep(0.04)


if __name__ == "__main__":
    main()
