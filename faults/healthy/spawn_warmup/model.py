import time

import numpy as np

_started = time.monotonic()
TABLE = np.zeros(512)
while time.monotonic() - _started < 2.2:
    TABLE = np.convolve(np.random.default_rng(len(TABLE)).normal(size=512), TABLE, "same")
time.sleep(2.5)


def predict(number):
    time.sleep(0.3)
    return float(np.tanh(TABLE[number % 512]))
