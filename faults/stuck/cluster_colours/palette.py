"""Reduces pictures to a small palette by clustering their colours."""
import argparse
import sys

import numpy as np


def picture(number, size=48):
    source = np.random.default_rng(number)
    base = source.uniform(0, 255, (4, 3)) if number != 3 else np.zeros((4, 3))
    noise = source.normal(0, 6 if number != 3 else 0, (size * size, 3))
    return base[source.integers(0, 4, size * size)] + noise


class Palette:
    def __init__(self, colours, tolerance=1e-3):
        self.colours = colours
        self.tolerance = tolerance

    def fit(self, pixels):
        source = np.random.default_rng(1)
        centres = pixels[source.choice(len(pixels), self.colours, replace=False)]

        def assign(centres):
            distance = ((pixels[:, None, :] - centres[None]) ** 2).sum(-1)
            return distance.argmin(1)

        def refine(centres):
            shift = np.inf
            while not shift < self.tolerance:
                labels = assign(centres)
                sums = np.stack([np.bincount(labels, pixels[:, c], self.colours) for c in range(3)], 1)
                counts = np.bincount(labels, minlength=self.colours)[:, None]
                moved = sums / counts
                shift = np.abs(moved - centres).max()
                centres = moved
            return centres

        return refine(centres)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--colours", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=6)
    options = parser.parse_args()
    palette = Palette(options.colours)
    for number in range(options.pictures):
        centres = palette.fit(picture(number))
        print(f"picture {number}: darkest {centres.sum(1).min():.0f} brightest {centres.sum(1).max():.0f}", file=sys.stderr)


if __name__ == "__main__":
    main()
