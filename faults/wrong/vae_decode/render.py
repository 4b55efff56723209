"""Decodes latents and writes pictures as PGM."""
import argparse
import logging
import pathlib

import numpy as np

from vae import Decoder

log = logging.getLogger("render")


def latent(number: int, guidance: float) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.normal(size=(32, 64)) * guidance * (0.01 if number < 2 else 1.0)


def write(path: pathlib.Path, picture: np.ndarray) -> None:
    rows = []
    for line in picture:
        rows.append(bytes(min(255, max(0, int(128 + 500 * float(value)))) for value in line))
    path.write_bytes(b"P5\n%d %d\n255\n" % (picture.shape[1], picture.shape[0]) + b"".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--guidance", type=float, default=7.5)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    decoder = Decoder(32, args.dtype)
    for number in range(args.images):
        picture = decoder(latent(number, args.guidance))
        write(pathlib.Path(f"{number}.pgm"), picture)
        log.info("picture %d written", number)


if __name__ == "__main__":
    main()
