"""Depth from stereo pairs; a pair that takes too long is tried again at a coarser level."""
import argparse
import hashlib
import sys

import limited


def match(pair, level):
    """Cost volume and its minimum, at half the size for each level."""
    rows = 900 >> level
    volume = bytearray(16_000_000 >> level)
    state = pair.encode()
    step = len(volume) // rows
    for row in range(rows if pair.endswith("0") else rows * 40):
        for column in range(0, 260):
            state = hashlib.sha256(state).digest()
        start = (row % rows) * step
        volume[start : start + step] = state[:1] * step
    return min(volume[:: step // 2])


class Estimator:
    def __init__(self, limit, levels=2):
        self.limit = limit
        self.levels = levels
        self.skipped = []

    def depth(self, pair):
        for level in range(self.levels):
            try:
                return limited.call(self.limit, match, pair, level)
            except limited.TookTooLong as problem:
                print(f"{pair}: {problem}, level {level + 1} is next", file=sys.stderr, flush=True)
        self.skipped.append(pair)
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=4)
    options = parser.parse_args()
    estimator = Estimator(limit=0.5)
    for number in range(options.pairs):
        print(f"pair {number}: {estimator.depth(f'stereo-{number}')}", flush=True)
    print(len(estimator.skipped), "pairs skipped")


if __name__ == "__main__":
    main()
