import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pre")


def _normalize(img):
    return (img - img.mean()) / (img.std() + 1e-6)


def batch(images):
    """Normalise a batch on the shared threads."""
    futures = [_pool.submit(_normalize, im) for im in images]
    return np.stack([f.result() for f in futures])


def warmup():
    batch([np.zeros((8, 8))] * 4)
    return os.getpid()
