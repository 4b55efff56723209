import argparse
import multiprocessing
import time

from weights import WeightCache

LAYERS = 8
cache = WeightCache(LAYERS)


def segment(rank, images, results):
    print(f"worker {rank}: {len(images)} images", flush=True)
    for image in images:
        score = 1.0
        for layer in range(LAYERS):
            weights = cache.get(layer)
            score = sum(score * w for w in weights) % 1.0
        results.append((image, score))
    print(f"worker {rank}: done", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("fork")
    images = [f"frame_{n:03d}.png" for n in range(20)]

    prefetch = cache.prefetch()
    time.sleep(0.2)
    results = []
    workers = [
        context.Process(target=segment, args=(rank, images[rank :: options.workers], results))
        for rank in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    prefetch.join()
    print("all layers are in memory", flush=True)
    for worker in workers:
        worker.join()
    print("finished")


if __name__ == "__main__":
    main()
