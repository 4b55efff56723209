"""Starts a process per shard and collects what they have counted."""
import multiprocessing
import sys
import time
import warnings

from shard import embed


def main(count: int) -> int:
    warnings.warn("the fork start method will not be the default any more", DeprecationWarning)
    results = multiprocessing.SimpleQueue()
    workers = [
        multiprocessing.Process(target=embed, args=(number, results), name=f"shard-{number}")
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    failed = 0
    for worker in workers:
        worker.join()
        print(f"{worker.name}: exit {worker.exitcode}", flush=True)
        failed += worker.exitcode != 0
    while not results.empty():
        print("vectors:", *results.get())
    time.sleep(0.1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
