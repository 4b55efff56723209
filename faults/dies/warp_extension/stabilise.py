"""Takes the shake out of a clip; frames are warped in worker processes."""
import argparse
import multiprocessing
import sys
import warnings

WIDTH, HEIGHT = 160, 90


def estimate(number: int) -> int:
    """Rows to shift; the seventh frame follows a cut."""
    return 40_000_000 if number == 6 else number % 3


def warp(tasks, results) -> None:
    import _warp

    while (number := tasks.get()) is not None:
        image = bytearray(bytes([number]) * (WIDTH * HEIGHT * 2))
        _warp.shift(image, WIDTH, HEIGHT, estimate(number))
        results.put((number, sum(image) // len(image)))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=4)
    args = parser.parse_args()
    warnings.warn("estimate() will return a matrix", PendingDeprecationWarning)
    tasks, results = multiprocessing.SimpleQueue(), multiprocessing.SimpleQueue()
    worker = multiprocessing.Process(target=warp, args=(tasks, results), name="warp")
    for number in range(args.frames):
        tasks.put(number)
    tasks.put(None)
    worker.start()
    worker.join()
    while not results.empty():
        print("frame %d: level %d" % results.get())
    print("worker:", worker, file=sys.stderr)
    return 0 if worker.exitcode == 0 else 3


if __name__ == "__main__":
    sys.exit(main())
