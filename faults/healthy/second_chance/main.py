"""A worker that dies takes the pool with it; the batch goes on with a new one."""
import logging
import os
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

logging.basicConfig(level=logging.INFO, format="%(message)s")


def caption(item, attempt):
    time.sleep(3.6)
    if item == 1 and attempt == 0:
        os._exit(9)
    return f"image {item}"


def main():
    todo, done, attempt = [0, 1, 2], {}, 0
    while todo:
        with ProcessPoolExecutor(2) as pool:
            futures = {i: pool.submit(caption, i, attempt) for i in todo}
            for i, f in futures.items():
                try:
                    done[i] = f.result()
                except BrokenProcessPool:
                    logging.warning("image %d: the worker went away, trying again", i)
        todo = [i for i in todo if i not in done]
        attempt += 1
    print("captions", len(done), "rounds", attempt)


if __name__ == "__main__":
    main()
