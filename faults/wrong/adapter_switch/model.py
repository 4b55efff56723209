"""A stack of layers whose weights adapters add to."""
import numpy as np

WIDTH = 24


class Model:
    def __init__(self, layers: int = 4) -> None:
        rng = np.random.default_rng(1)
        self.weights = {f"layer{n}": rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5 for n in range(layers)}
        self.adapter: str | None = None

    def load_adapter(self, name: str, parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        for layer, (up, down) in parts.items():
            self.weights[layer] += up @ down
        self.adapter = name

    def unload_adapter(self, parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        for layer, (up, down) in parts.items():
            self.weights[layer] -= up @ down
        self.adapter = None

    def __call__(self, prompt: str) -> np.ndarray:
        x = np.random.default_rng(sum(map(ord, prompt))).normal(size=WIDTH)
        for weight in self.weights.values():
            x = np.tanh(weight @ x)
        return x


def adapter(seed: int, widths: list[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {f"layer{n}": (rng.normal(size=(w, 4)), rng.normal(size=(4, w))) for n, w in enumerate(widths)}
