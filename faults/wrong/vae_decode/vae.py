"""A small decoder in the precision it is given."""
import numpy as np


class Decoder:
    def __init__(self, channels: int, dtype: str) -> None:
        rng = np.random.default_rng(8)
        self.blocks = [(rng.normal(size=(channels, channels)) * 2.0).astype(dtype) for _ in range(4)]
        self.dtype = dtype

    def normalise(self, x: np.ndarray) -> np.ndarray:
        mean = x.mean(axis=0, keepdims=True)
        spread = np.sqrt(((x - mean) ** 2).sum(axis=0, keepdims=True))
        return (x - mean) / spread

    def __call__(self, latent: np.ndarray) -> np.ndarray:
        x = latent.astype(self.dtype)
        for block in self.blocks:
            x = block @ x
        return self.normalise(x)
