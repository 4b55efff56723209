"""Captions images one by one."""
import argparse
import logging
import random
import time

log = logging.getLogger("captions")
SUBJECTS = ["a man", "two children", "a dog", "an old car", "a bowl of fruit"]
PLACES = ["in a garden", "on a table", "near the sea", "under a bridge"]


class Captioner:
    def __init__(self, seed: int, temperature: float) -> None:
        self.rng = random.Random(seed)
        self.temperature = temperature

    def caption(self, number: int) -> str:
        time.sleep(0.01)
        words = f"{self.rng.choice(SUBJECTS)} {self.rng.choice(PLACES)}"
        if self.rng.random() < self.temperature:
            words += ", in soft light"
        return f"image_{number:05}.jpg\t{words}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=0.3)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    captioner = Captioner(1, args.temperature)
    for number in range(args.images):
        if number % 100 == 0:
            log.info("%d of %d", number, args.images)
        print(captioner.caption(number), flush=True)
    log.info("done")


if __name__ == "__main__":
    main()
