import multiprocessing as mp
import os
import time

import numpy as np

import encoder


def main():
    docs = [f"document {i} about topic {i % 7}" for i in range(1200)]
    out = mp.Queue()
    n = 2
    procs = [mp.Process(target=encoder.encode_shard, args=(docs[k::n], k, out), name=f"enc{k}") for k in range(n)]
    t0 = time.time()
    for p in procs:
        p.start()
    for p in procs:
        p.join()
    shards = [out.get() for _ in procs]
    matrix = np.concatenate([s for _, s in sorted(shards, key=lambda s: s[0])])
    print(f"{matrix.shape[0]} vectors in {time.time() - t0:.1f} s (pid {os.getpid()})")


if __name__ == "__main__":
    main()
