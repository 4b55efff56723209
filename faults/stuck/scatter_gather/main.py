"""Scatter image tiles to a worker over one pipe, gather features over another."""
import multiprocessing as mp

import numpy as np


def extract(tasks, results):
    proj = np.random.default_rng(0).standard_normal((64 * 64, 2048)).astype(np.float32)
    while True:
        item = tasks.recv()
        if item is None:
            break
        key, tile = item
        results.send((key, tile.reshape(-1) @ proj))
    results.close()


def tiles(n):
    rng = np.random.default_rng(7)
    for i in range(n):
        yield i, rng.random((64, 64), dtype=np.float32)


def main():
    task_r, task_w = mp.Pipe(duplex=False)
    res_r, res_w = mp.Pipe(duplex=False)
    p = mp.Process(target=extract, args=(task_r, res_w), daemon=True)
    p.start()
    n = 0
    for item in tiles(64):
        task_w.send(item)
        n += 1
    task_w.send(None)
    feats = dict(res_r.recv() for _ in range(n))
    print("features", len(feats), feats[0].shape)
    p.join()


if __name__ == "__main__":
    main()
