import time

import numpy as np

import fuse


def main():
    rng = np.random.default_rng(0)
    graph = fuse.Graph("block", ops=fuse.random_ops(rng, 12000))
    t0 = time.time()
    fn = graph.specialize(np.float32)
    x = rng.random(4096, dtype=np.float32)
    y = fn(x)
    print(f"first call {time.time() - t0:.1f} s, mean {y.mean():.4f}")
    t0 = time.time()
    fn(x)
    print(f"second call {1e3 * (time.time() - t0):.2f} ms")


if __name__ == "__main__":
    main()
