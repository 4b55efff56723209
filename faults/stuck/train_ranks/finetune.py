import argparse
import multiprocessing
import random

from collective import Group

WIDTH = 8


def batches(rank, ranks, samples, size=4):
    mine = list(range(rank, samples, ranks))
    for start in range(0, len(mine), size):
        yield mine[start : start + size]


def gradient(weights, batch):
    source = random.Random(batch[0])
    return [weight * 0.01 + source.uniform(-0.1, 0.1) / len(batch) for weight in weights]


def run(rank, group, samples, epochs):
    weights = [0.5] * WIDTH
    for epoch in range(epochs):
        steps = 0
        for batch in batches(rank, group.ranks, samples):
            step = group.mean(rank, gradient(weights, batch))
            weights = [weight - delta for weight, delta in zip(weights, step)]
            steps += 1
            if rank == 0:
                print(f"epoch {epoch} step {steps} norm {sum(w * w for w in weights):.4f}", flush=True)
        group.checkpoint()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    group = Group(options.ranks, WIDTH)
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=run, args=(rank, group, options.samples, options.epochs), name=f"rank{rank}")
        for rank in range(options.ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("trained")


if __name__ == "__main__":
    main()
