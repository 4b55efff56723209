"""Looks for the sharpest crop of each frame and keeps a small preview of it."""
import argparse
import logging
import time
from dataclasses import dataclass, field

import numpy as np

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("search")


def camera(count, height=480, width=640):
    source = np.random.default_rng(5)
    for number in range(count):
        frame = source.integers(0, 255, (height, width, 3), dtype=np.uint8)
        yield number, frame
        time.sleep(0.02)


@dataclass
class Search:
    size: int = 32
    best: list = field(default_factory=list)

    def sharpness(self, crop):
        grey = crop.mean(2)
        return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())

    def feed(self, number, frame):
        candidates = []
        for top in range(0, 480 - self.size, 96):
            for left in range(0, 640 - self.size, 128):
                crop = frame[top : top + self.size, left : left + self.size]
                candidates.append((self.sharpness(crop), number, crop))
        self.best.append(max(candidates, key=lambda candidate: candidate[0]))

    def summary(self):
        return sum(crop.nbytes for _, _, crop in self.best)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=50)
    options = parser.parse_args()
    search = Search()
    for number, frame in camera(options.frames):
        search.feed(number, frame)
        if number % 25 == 0:
            log.info("frame %d, previews %.0f kB", number, search.summary() / 1000)
    log.info("best frame %d", max(search.best, key=lambda candidate: candidate[0])[1])


if __name__ == "__main__":
    main()
