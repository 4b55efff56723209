import time

import numpy as np


class Detector:
    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.index = []

    def boxes(self, n):
        """Feature vectors of all candidates; most are thrown away by the suppression."""
        return [self.rng.standard_normal(int(self.rng.integers(1_000, 4_000)), dtype=np.float32) for _ in range(n)]

    def process(self, frame, candidates):
        feats = []
        for start in range(0, candidates, 400):
            feats += self.boxes(400)
            top = max(feats[-400:], key=lambda f: float(f[0]))
            self.index.append((frame, top[:300].copy()))
        return len(feats)


def main():
    det = Detector()
    for frame in range(28):
        n = det.process(frame, 400 * (1 + frame))
        print(f"frame {frame}: {n} candidates, {len(det.index)} kept", flush=True)
        time.sleep(0.25)


if __name__ == "__main__":
    main()
