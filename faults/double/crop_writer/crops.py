"""Detects people and has a process write the crops."""
import argparse
import logging
import multiprocessing
import random

from writer import write_crops

log = logging.getLogger("crops")


def detect(frame: int) -> list[bytes]:
    rng = random.Random(frame)
    return [rng.randbytes(24_000) for _ in range(1 + frame % 3)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=5)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    crops = multiprocessing.Queue(maxsize=8)
    written = multiprocessing.Queue()
    writer = multiprocessing.Process(target=write_crops, args=("crops", crops, written), name="writer")
    writer.start()
    total = 0
    for frame in range(args.frames):
        found = detect(frame)
        crops.put((frame, found))
        total += written.get()
        if frame % 5 == 0:
            log.info("frame %d, %d crops so far", frame, total)
    crops.put(None)
    writer.join()
    log.info("%d crops", total)


if __name__ == "__main__":
    main()
