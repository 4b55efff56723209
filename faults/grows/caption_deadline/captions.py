"""Captions images with a deadline for each; a slow image gets a short default caption."""
import argparse
import asyncio
import logging
import random

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
log = logging.getLogger("captions")


class BeamSearch:
    def __init__(self, beams):
        self.beams = beams

    def extend(self, beams, source):
        extended = [(score + source.random(), words + [source.randrange(999)]) for score, words in beams for _ in range(6)]
        return sorted(extended, key=lambda beam: -beam[0])[: self.beams]

    def caption(self, image, length):
        source = random.Random(image)
        beams = [(0.0, [])]
        for _ in range(length):
            beams = self.extend(beams, source)
        return " ".join(f"w{word}" for word in beams[0][1][:5])


async def caption(search, image, deadline):
    length = 12 if image % 3 else 60000
    try:
        return await asyncio.wait_for(asyncio.to_thread(search.caption, image, length), deadline)
    except asyncio.TimeoutError:
        log.warning("image %d took longer than %.1f s, using the default", image, deadline)
        return "a picture"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--deadline", type=float, default=0.8)
    options = parser.parse_args()
    search = BeamSearch(beams=40)
    for image in range(options.images):
        log.info("image %d: %s", image, await caption(search, image, options.deadline))


if __name__ == "__main__":
    asyncio.run(main())
