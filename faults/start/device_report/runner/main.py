"""Hands jobs to one worker per device."""
import argparse
import multiprocessing
import os
import queue
import sys

from runner.worker import serve


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", type=int, default=0)
    args = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("RUNNER_DEVICES", "")

    jobs: multiprocessing.Queue = multiprocessing.Queue()
    results: multiprocessing.Queue = multiprocessing.Queue()
    for number in range(args.jobs):
        jobs.put(number)
    jobs.put(None)
    worker = multiprocessing.Process(target=serve, args=(args.device, jobs, results), name="gpu-worker")
    worker.start()
    done = 0
    while done < args.jobs:
        try:
            kind, subject, extra = results.get(timeout=0.2)
        except queue.Empty:
            if worker.is_alive():
                continue
            print(f"worker ended with {worker.exitcode} after {done} jobs", file=sys.stderr)
            jobs.cancel_join_thread()
            return 1
        if kind == "done":
            done += 1
        print(kind, subject, extra or "")
    worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
