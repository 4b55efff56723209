"""Speaks a sentence with a voice of the bank."""
import argparse
import pathlib
import sys
from dataclasses import dataclass

import numpy as np

BANK = pathlib.Path("voices")
RATE = 16000


@dataclass(frozen=True)
class Voice:
    name: str
    pitch: np.ndarray
    timbre: np.ndarray

    @classmethod
    def read(cls, name: str) -> "Voice":
        parts = np.load(BANK / f"{name}.npz")
        return cls(name, parts["pitch"], parts["timbre"])

    def say(self, text: str) -> np.ndarray:
        time = np.arange(RATE // 8) / RATE
        sounds = [np.sin(2 * np.pi * self.pitch[ord(c) % len(self.pitch)] * time) for c in text]
        return np.concatenate(sounds) * self.timbre.mean()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--voice", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("text")
    args = parser.parse_args()
    print(f"{args.voice}: {args.text}", file=sys.stderr)
    sound = Voice.read(args.voice).say(args.text)
    args.out.write_bytes((sound * 32767).astype("<i2").tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
