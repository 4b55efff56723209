"""Six request threads share one device; it serves them in turn."""
import threading
import time

import numpy as np


class Device:
    def __init__(self):
        self._busy = threading.Lock()

    def run(self, x):
        with self._busy:
            time.sleep(2.1)  # kernel
            return np.tanh(x).sum()


def request(dev, n, out):
    out[n] = dev.run(np.full(100, n / 10))


def main():
    dev, out = Device(), {}
    threads = [threading.Thread(target=request, args=(dev, n, out), name=f"req-{n}") for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("answered", sorted(out))


if __name__ == "__main__":
    main()
