"""Interpolates frames; the buffer of a clip is made in one piece."""
import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np


@dataclass
class Clip:
    name: str
    frames: int
    height: int
    width: int


CLIPS = [Clip("intro", 24, 96, 160), Clip("walk", 60, 120, 200), Clip("match", 2400, 240, 400)]


def buffer(clip: Clip, scale: int) -> np.ndarray:
    return np.zeros((clip.frames * scale, clip.height, clip.width, 3), dtype=np.float32)


def interpolate(clip: Clip, scale: int) -> float:
    frames = buffer(clip, scale)
    for number in range(0, len(frames), scale):
        frames[number] = number / len(frames)
        for between in range(1, scale):
            frames[number + between] = frames[number] + between / len(frames) / scale
    return float(frames[-1].mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--scale", type=int, default=2)
    args = parser.parse_args()
    warnings.warn("RIFE 4.0 weights are deprecated", FutureWarning)
    for clip in CLIPS[: args.clips]:
        started = time.perf_counter()
        last = interpolate(clip, args.scale)
        print(f"{clip.name}: last frame {last:.3f}, {time.perf_counter() - started:.2f} s", flush=True)


if __name__ == "__main__":
    main()
