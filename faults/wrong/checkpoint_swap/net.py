"""The network; its tensors can be replaced while it is in use."""
import numpy as np


class Net:
    NAMES = ("encode", "middle", "decode")

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        for name in self.NAMES:
            self.tensors[name] = state[name]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for name in self.NAMES:
            x = np.maximum(self.tensors[name] @ x, 0)
        return x


def checkpoint(width: int, names=Net.NAMES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(width)
    shapes = {"encode": (width, 16), "middle": (width, width), "decode": (16, width)}
    return {name: rng.normal(size=shapes[name]).astype(np.float32) for name in names}
