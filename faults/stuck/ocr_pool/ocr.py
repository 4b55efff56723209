import argparse
import multiprocessing
import random
import sys
import warnings
from dataclasses import dataclass

from legacy_engine import Engine

engine = None


@dataclass
class Page:
    number: int
    data: bytes


def start_worker(language):
    global engine
    warnings.simplefilter("always")
    warnings.warn("language packs of version 3 will not be read after this release", FutureWarning, stacklevel=1)
    engine = Engine(language)


def recognise(page):
    return page.number, engine.recognise(page.data)


def pages(count):
    source = random.Random(4)
    for number in range(count):
        size = source.randrange(1000, 3000) if number != 17 else 5200
        yield Page(number, source.randbytes(size))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--language", default="deu")
    options = parser.parse_args()
    texts = {}
    with multiprocessing.Pool(2, start_worker, (options.language,)) as pool:
        jobs = [pool.apply_async(recognise, (page,)) for page in pages(options.pages)]
        for job in jobs:
            number, text = job.get()
            texts[number] = text
            print(f"page {number}: {text}", file=sys.stderr)
    print(len(texts), "pages read")


if __name__ == "__main__":
    main()
