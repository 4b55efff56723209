"""Renders a poster for each line of a file."""
import argparse
import logging
import pathlib
import sys

import numpy as np

from safety import SafetyChecker

log = logging.getLogger("posters")


def generate(prompts: list[str], size: int = 32) -> np.ndarray:
    images = []
    for prompt in prompts:
        rng = np.random.default_rng(sum(map(ord, prompt)))
        images.append(rng.random((size, size, 3)))
    return np.array(images)


def save(image: np.ndarray, path: pathlib.Path) -> None:
    pixels = (image * 255).astype(np.uint8)
    path.write_bytes(b"P6\n%d %d\n255\n" % image.shape[1::-1] + pixels.tobytes())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=pathlib.Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s")
    prompts = args.prompts.read_text().splitlines()
    checker = SafetyChecker()
    written = 0
    for prompt in prompts:
        images, flagged = checker(generate([prompt]))
        log.info("%s: %d image", prompt, len(images))
        if not flagged[0]:
            save(images[0], pathlib.Path(f"poster{written}.ppm"))
            written += 1
    log.info("%d of %d posters written", written, len(prompts))
    return 0 if written else 2


if __name__ == "__main__":
    sys.exit(main())
