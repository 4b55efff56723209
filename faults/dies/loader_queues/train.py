"""Trains on cached samples; loader processes hand over indices."""
import argparse
import logging
import multiprocessing

from dataset import PAGE, SampleCache

log = logging.getLogger("train")


def load(number: int, tasks, results) -> None:
    while (index := tasks.get()) is not None:
        results.put((number, index, index * 0.5))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loaders", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    cache = SampleCache()
    try:
        cache.fill(args.samples, PAGE)
        log.info("%d of %d samples are kept decoded", len(cache), args.samples)
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        loaders = []
        for number in range(args.loaders):
            tasks = context.Queue()
            loader = context.Process(target=load, args=(number, tasks, results))
            loader.start()
            loaders.append((loader, tasks))
        for index in range(60):
            loaders[index % len(loaders)][1].put(index)
        total = sum(results.get()[2] for _ in range(60))
        for loader, tasks in loaders:
            tasks.put(None)
            loader.join()
        log.info("loss %.2f", total / 60)
    finally:
        cache.clear()


if __name__ == "__main__":
    main()
