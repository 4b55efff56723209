"""Writes a line of JSON per clip."""
import argparse
import json
import multiprocessing
import pathlib

from pose.model import JOINTS, scores


def work(task: tuple[int, int]) -> tuple[int, list[float]]:
    clip, frames = task
    return clip, scores(clip, frames)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("scores.jsonl"))
    args = parser.parse_args()
    with multiprocessing.Pool(2) as pool, args.out.open("w") as out:
        for clip, values in pool.imap(work, [(clip, args.frames) for clip in range(args.clips)]):
            line = json.dumps({"clip": clip, "joints": JOINTS, "scores": values}, allow_nan=False)
            out.write(line + "\n")
            print(f"clip {clip}: best joint {max(values):.4f}", flush=True)


if __name__ == "__main__":
    main()
