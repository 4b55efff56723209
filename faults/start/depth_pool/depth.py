"""Depth maps for the frames of a clip, computed in a pool of processes."""
import argparse
import multiprocessing
import time

import numpy as np

SIZE = 32


def frame(number: int) -> np.ndarray:
    return np.full((1, 3, SIZE, SIZE), number / 10, dtype=np.float32)


class Worker:
    session = None

    @classmethod
    def run(cls, task: tuple[str, int]) -> tuple[int, float]:
        model, number = task
        if cls.session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            cls.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        depth = cls.session.run(None, {"image": frame(number)})[0]
        return number, float(depth.mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--frames", type=int, default=4)
    args = parser.parse_args()
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        for number, mean in pool.imap_unordered(Worker.run, [(args.model, n) for n in range(args.frames)]):
            print(f"frame {number}: mean depth {mean:.3f} ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
