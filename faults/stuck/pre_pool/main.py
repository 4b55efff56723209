import multiprocessing as mp
import os

import numpy as np

import preproc


def score(rank, n):
    rng = np.random.default_rng(rank)
    total = 0.0
    for _ in range(n):
        x = preproc.batch(list(rng.random((4, 32, 32))))
        total += float(np.abs(x).mean())
    print(f"rank {rank} ({os.getpid()}): {total / n:.4f}", flush=True)


if __name__ == "__main__":
    preproc.warmup()
    ctx = mp.get_context("fork")
    ranks = [ctx.Process(target=score, args=(r, 20)) for r in range(2)]
    for p in ranks:
        p.start()
    for p in ranks:
        p.join()
    print("exit codes", [p.exitcode for p in ranks])
