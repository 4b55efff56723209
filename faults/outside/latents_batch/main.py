"""Decodes a batch of latents to images, all images of the batch at once."""
import argparse
import logging
import random
import time
from dataclasses import dataclass, field

log = logging.getLogger("decode")


@dataclass
class Image:
    width: int
    height: int
    pixels: bytearray = field(repr=False)


class Decoder:
    def __init__(self, scale: int = 8) -> None:
        self.scale = scale

    def __call__(self, latent: list[float], side: int) -> Image:
        size = side * self.scale
        pixels = bytearray(size * size * 3 * 2)
        step = max(1, len(pixels) // len(latent))
        for number, value in enumerate(latent):
            pixels[number * step] = int(abs(value) * 20) & 255
        for page in range(0, len(pixels), 4096):
            pixels[page] ^= 1
        return Image(size, size, pixels)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--side", type=int, default=96)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    decoder = Decoder()
    rng = random.Random(11)
    images = []
    for number in range(args.images):
        images.append(decoder([rng.gauss(0, 1) for _ in range(512)], args.side))
        if number % 4 == 0:
            log.info("image %d: %s", number, images[-1])
        time.sleep(0.04)
    log.info("writing %d images", len(images))


if __name__ == "__main__":
    main()
