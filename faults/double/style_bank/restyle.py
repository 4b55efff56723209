"""Gives pictures the style of another."""
import argparse
import logging

import numpy as np

from bank import Bank

log = logging.getLogger("restyle")


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).random((16, 16), dtype=np.float32)


def restyle(image: np.ndarray, style: dict[str, np.ndarray], strength: float) -> np.ndarray:
    return (1 - strength) * image + strength * np.tanh(style["gram"] @ image)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", required=True)
    parser.add_argument("--pictures", type=int, default=3)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    bank = Bank("styles")
    bank.install("oil")
    bank.install("etching", room=600)
    oil, chosen = bank.get("oil"), bank.get(args.style)
    for number in range(args.pictures):
        first = restyle(picture(number), oil, 0.3)
        log.info("picture %d in oil: %.3f", number, first.mean())
        log.info("picture %d in %s: %.3f", number, args.style, restyle(first, chosen, 0.7).mean())


if __name__ == "__main__":
    main()
