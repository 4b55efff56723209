"""Halves the lines of a batch of grey images in worker processes."""
import argparse
import ctypes
from concurrent.futures import ProcessPoolExecutor, as_completed

import kernels

WIDTH = 64


def image(seed: int) -> bytes:
    return bytes((seed * 7 + x * 3) % 256 for x in range(WIDTH))


def shrink(path: str, seed: int) -> tuple[int, int]:
    library = kernels.load(path)
    source = image(seed)
    target = ctypes.create_string_buffer(WIDTH)
    return seed, library.resample_line(source, target, WIDTH, 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=6)
    args = parser.parse_args()

    path = kernels.build()
    print(f"kernel {path.name}, {path.stat().st_size} bytes", flush=True)
    with ProcessPoolExecutor(args.workers) as pool:
        jobs = [pool.submit(shrink, str(path), seed) for seed in range(args.images)]
        for job in as_completed(jobs):
            seed, width = job.result()
            print(f"image {seed}: {width} px")


if __name__ == "__main__":
    main()
