import argparse
import random
import time

import numpy as np

from vendor import fastconv


def upload(number, source):
    """Users send pictures of every size."""
    height, width = source.choice([(240, 320), (256, 256)]) if number < 60 else (source.randrange(180, 330), source.randrange(180, 400))
    return np.full((height, width), number % 255, np.float32)


def stylise(picture):
    soft = fastconv.blur(picture, 4)
    edges = np.abs(picture - soft)
    return float(edges.mean())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=20)
    options = parser.parse_args()
    source = random.Random(9)
    for number in range(options.pictures):
        value = stylise(upload(number, source))
        if number % 50 == 0:
            print(f"picture {number}: {value:.3f}", flush=True)
        time.sleep(0.015)


if __name__ == "__main__":
    main()
