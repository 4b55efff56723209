"""Renders pages in a pool whose workers are renewed after each page."""
import argparse
import multiprocessing
import os
import time


def render(page):
    time.sleep(4.0 if page % 3 == 0 else 0.2)
    return page, os.getpid()


def collect(queue, seconds):
    while (item := queue.get()) is not None:
        time.sleep(seconds)
        queue.task_done()
    queue.task_done()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=3)
    options = parser.parse_args()
    queue = multiprocessing.JoinableQueue()
    collector = multiprocessing.Process(target=collect, args=(queue, 0.9))
    collector.start()
    with multiprocessing.Pool(2, maxtasksperchild=1) as pool:
        jobs = [pool.apply_async(render, (page,)) for page in range(options.pages)]
        workers = set()
        for job in jobs:
            page, worker = job.get()
            workers.add(worker)
            queue.put(page)
    queue.put(None)
    queue.join()
    collector.join()
    print(options.pages, "pages from", len(workers), "workers")


if __name__ == "__main__":
    main()
