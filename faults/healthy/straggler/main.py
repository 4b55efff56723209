import multiprocessing as mp
import time

import numpy as np


def rank(r, barrier, out):
    rng = np.random.default_rng(r)
    for step in range(2):
        end = time.monotonic() + (5.0 if r == step else 0.2)
        n = 0
        while time.monotonic() < end:
            rng.standard_normal((100, 100)).sum()
            n += 1
            time.sleep(0.002)
        barrier.wait()
    out.put((r, n))


def main():
    ctx = mp.get_context("spawn")
    barrier, out = ctx.Barrier(4), ctx.SimpleQueue()
    ranks = [ctx.Process(target=rank, args=(r, barrier, out)) for r in range(4)]
    for p in ranks:
        p.start()
    for p in ranks:
        p.join()
    print("ranks", sorted(out.get()[0] for _ in ranks))


if __name__ == "__main__":
    main()
