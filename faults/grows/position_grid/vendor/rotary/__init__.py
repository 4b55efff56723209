"""Rotary position embedding, numpy edition."""
import functools

import numpy as np


@functools.lru_cache(maxsize=None)
def frequencies(length, width, base=10000.0):
    inverse = base ** (-np.arange(0, width, 2) / width)
    angles = np.outer(np.arange(length), inverse)
    return np.cos(angles), np.sin(angles)


def rotate(vectors):
    length, width = vectors.shape
    cosine, sine = frequencies(length, width)
    even, odd = vectors[:, ::2], vectors[:, 1::2]
    return np.concatenate([even * cosine - odd * sine, even * sine + odd * cosine], axis=1)
