"""Load the model once, then fork the workers so that they share its pages."""
import multiprocessing as mp

import numpy as np

import model


def worker(session, rank):
    x = np.random.default_rng(rank).standard_normal((64, 256)).astype(np.float32)
    y = session.run(None, {"x": x})[0]
    print(f"worker {rank}: {y.mean():.4f}", flush=True)


def main():
    session = model.load()
    session.run(None, {"x": np.zeros((64, 256), np.float32)})
    print("model loaded", flush=True)
    ctx = mp.get_context("fork")
    procs = [ctx.Process(target=worker, args=(session, r)) for r in range(2)]
    for p in procs:
        p.start()
    for p in procs:
        p.join()


if __name__ == "__main__":
    main()
