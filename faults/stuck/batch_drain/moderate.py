import concurrent.futures
import json
import logging
import sys

from batcher import Batcher

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(threadName)s %(message)s")
log = logging.getLogger("moderate")


def toxicity(text):
    return round(sum(map(ord, text)) % 997 / 997, 3)


def moderate(group, texts, budget=120):
    batcher = Batcher(budget)
    for text in texts:
        batcher.add(text)
    scores = batcher.drain(toxicity)
    log.info("%s: %d texts, worst %.3f", group, len(scores), max(scores.values()))
    return scores


def main():
    groups = json.load(open(sys.argv[1]))
    with concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="group") as pool:
        jobs = [pool.submit(moderate, group, texts) for group, texts in groups.items()]
        done = sum(len(job.result()) for job in jobs)
    log.info("%d texts", done)


if __name__ == "__main__":
    main()
