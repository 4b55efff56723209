# -*- coding: utf-8 -*-
"""Zero-shot labels for a folder of (synthetic) photos, printed as they come."""
import sys

import numpy as np

# some of our machines still have LANG=C
sys.stdout = open(sys.stdout.fileno(), "w", encoding="utf-8", errors="replace", closefd=False)

LABELS = ["Straße", "Brücke", "Fluß", "Café", "日没", "ship", "crowd"]


class ClipLike:
    def __init__(self, dim=512):
        rng = np.random.default_rng(0)
        self.layers = [(rng.standard_normal((dim, dim)) / dim ** 0.5).astype(np.float32) for _ in range(8)]
        self.text = rng.standard_normal((dim, len(LABELS))).astype(np.float32)

    def label(self, patches):
        h = patches
        for _ in range(6):
            for w in self.layers:
                h = np.tanh(h @ w)
        scores = h.mean(axis=0) @ self.text
        return LABELS[int(scores.argmax())], float(scores.max())


def main():
    model = ClipLike()
    rng = np.random.default_rng(1)
    for i in range(4000):
        name, score = model.label(rng.standard_normal((300, 512)).astype(np.float32))
        print(f"{i:04d}.jpg\t{name}\t{score:.2f}")


if __name__ == "__main__":
    main()
