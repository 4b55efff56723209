"""Save a checkpoint in shards, each synced to disk."""
import os
import tempfile
import time

import numpy as np
from safetensors.numpy import save


def shards(n):
    rng = np.random.default_rng(0)
    for i in range(n):
        yield i, {f"layer{i}.weight": rng.standard_normal((512, 512), dtype=np.float32)}


def main():
    total = 0
    with tempfile.TemporaryDirectory(dir=".") as d:
        for i, tensors in shards(36):
            blob = save(tensors)
            with open(os.path.join(d, f"model-{i:05d}.safetensors"), "wb") as f:
                for k in range(0, len(blob), 1 << 18):
                    f.write(blob[k:k + (1 << 18)])
                    f.flush()
                    os.fsync(f.fileno())
                    time.sleep(0.05)
            total += len(blob)
    print("saved", total)


if __name__ == "__main__":
    main()
