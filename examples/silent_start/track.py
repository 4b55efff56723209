"""Tracks people in a video; here the frames are made up, the logging is not."""

import logging
import random
import sys

log = logging.getLogger("track")


def load_model():
    log.info("loading the model")
    generator = random.Random(7)
    return [[generator.random() for _ in range(64)] for _ in range(64)]


def track(model, frames):
    """Follow every person through all frames."""
    tracks = {}
    for frame in range(frames):
        for person in range(4):
            weights = model[(frame + person) % len(model)]
            x, y = sum(weights[:32]), sum(weights[32:])
            tracks.setdefault(person, []).append((x, y))
            log.debug("frame %05d person %d at (%.3f, %.3f), appearance %s", frame, person, x, y, weights[:6])
    return tracks


def main():
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    log.info("arguments: %s", sys.argv[1:])
    tracks = track(load_model(), frames=2000)
    print({person: len(places) for person, places in tracks.items()})


if __name__ == "__main__":
    main()
