"""Heat maps to joint scores; runs in a process of its own."""
import warnings

import numpy as np

JOINTS = 17


def heatmaps(clip: int, frame: int) -> np.ndarray:
    rng = np.random.default_rng(clip * 100 + frame)
    gain = 3.0 if clip < 2 else 3.0 + frame
    return (rng.random((JOINTS, 24, 24)) * gain).astype(np.float16)


def softmax(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(JOINTS, -1)
    weights = np.exp(flat)
    return weights / weights.sum(axis=1, keepdims=True)


def scores(clip: int, frames: int) -> list[float]:
    warnings.warn("24x24 heat maps are deprecated, use 64x48", FutureWarning)
    total = np.zeros(JOINTS, dtype=np.float32)
    for frame in range(frames):
        total += softmax(heatmaps(clip, frame)).max(axis=1)
    return [float(score) for score in total / frames]
