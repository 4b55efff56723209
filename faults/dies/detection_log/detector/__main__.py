import argparse
import logging
import random
import time

from detector.sink import Sink

log = logging.getLogger("detector")


def boxes(frame: int) -> list[tuple[int, int, int, int]]:
    rng = random.Random(frame)
    return [tuple(rng.randrange(640) for _ in range(4)) for _ in range(rng.randrange(3))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="detector")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--log", required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    with Sink(args.log) as sink:
        for frame in range(args.frames):
            sink.write(frame, boxes(frame))
            if frame % 20 == 0:
                log.info("frame %d", frame)
            time.sleep(0.005)
    log.info("%d frames", sink.count)


main()
