import time
from dataclasses import dataclass

import numpy as np


@dataclass
class Move:
    src: int
    dst: int
    rows: int


def run(name, locks, moves, counts):
    """Move rows of the embedding table between two shards."""
    for m in moves:
        with locks[m.src]:
            block = np.random.default_rng(m.rows).random((m.rows, 64))
            time.sleep(0.4)
            counts[m.src] -= m.rows
            with locks[m.dst]:
                counts[m.dst] += m.rows
        print(f"{name}: {m.rows} rows {m.src} -> {m.dst} ({block.nbytes // 1024} KiB)", flush=True)
