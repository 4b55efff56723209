"""Writes a depth map per frame, in threads."""
import argparse
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np


def depth(number: int, side: int = 160) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return np.hypot(x - number, y - side / 2) / side


class Exporter:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def one(self, number: int) -> int:
        target = self.folder / f"{number:05}.npy"
        np.save(target, depth(number))
        return target.stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    exporter = Exporter(args.out)
    written = 0
    with ThreadPoolExecutor(2) as pool:
        jobs = {pool.submit(exporter.one, number): number for number in range(args.frames)}
        for count, job in enumerate(as_completed(jobs), 1):
            written += job.result()
            if count % 10 == 0:
                print(f"{count} maps, {written} bytes", file=sys.stderr)
    print("exported", written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
