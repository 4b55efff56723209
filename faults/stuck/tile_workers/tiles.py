import math
import resource
import sys

import numpy as np


def work(todo, done, rank):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        y, x, tile = todo.get()
        level = float(tile.mean())
        if not math.isfinite(level):
            # poisoned input: better a fresh process than a poisoned model
            sys.exit(75)
        up = np.kron(tile, np.ones((2, 2), tile.dtype))
        done.put((y, x, up))
