"""Cleans recognised pages before they go to the tokenizer; the work is done in processes."""
import concurrent.futures
import logging
import sys

from rules import Rules

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("clean")
rules = Rules()


def clean(chunk):
    return [rules.clean(line) for line in chunk]


def chunks(path, size=5):
    lines = open(path).read().splitlines()
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def main(path):
    total = 0
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for number, cleaned in enumerate(pool.map(clean, chunks(path))):
            total += len(cleaned)
            log.info("chunk %d: %d lines", number, total)
    log.info("%d lines are clean", total)


if __name__ == "__main__":
    main(sys.argv[1])
