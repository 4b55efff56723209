"""Evaluates a model on several ranks; the first one prepares the data for all."""
import argparse
import multiprocessing
import time


def evaluate(rank, prepared, finished, scores):
    if rank == 0:
        time.sleep(5.5)
        scores["samples"] = 300
    prepared.wait()
    time.sleep(0.5 if rank else 4.0)
    scores[rank] = sum((sample * 7919 + rank) % 10 < 8 for sample in range(scores["samples"]))
    finished.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    with context.Manager() as manager:
        scores = manager.dict()
        prepared, finished = manager.Barrier(options.ranks), context.Barrier(options.ranks)
        ranks = [context.Process(target=evaluate, args=(rank, prepared, finished, scores)) for rank in range(options.ranks)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        print({str(key): scores[key] for key in scores.keys()})


if __name__ == "__main__":
    main()
