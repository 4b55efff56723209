import argparse
import json
import logging
import random
import sys


def frames(count):
    source = random.Random(11)
    position = [320.0, 240.0]
    for number in range(count):
        position = [value + source.uniform(-4, 4) for value in position]
        yield {"frame": number, "position": position, "sharpness": source.random()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s [h264] %(message)s")
    log = logging.getLogger()
    for frame in frames(options.frames):
        if frame["sharpness"] < 0.2:
            log.warning("frame %d: concealing %d damaged macroblocks", frame["frame"], int(frame["sharpness"] * 100))
        log.debug("frame %d decoded, pts %d", frame["frame"], frame["frame"] * 3003)
        sys.stdout.write(json.dumps(frame) + "\n")


main()
