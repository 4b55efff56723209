"""OCR pages on worker threads. Each page makes many small crops, and only a short line of text stays."""
import threading
import time
import queue

import numpy as np

LINES = {}


def crops(page, count=1600):
    rng = np.random.default_rng(page)
    for _ in range(count):
        yield rng.integers(0, 255, size=int(rng.integers(3_000, 20_000)), dtype=np.uint8)


def read_page(page):
    parts = [c for c in crops(page)]
    darkness = [int(c[:64].sum()) for c in parts]
    LINES[page] = np.array(darkness[:12], dtype=np.int64)
    del parts
    return len(darkness)


class Worker(threading.Thread):
    def __init__(self, todo):
        super().__init__(daemon=True)
        self.todo = todo

    def run(self):
        while True:
            page = self.todo.get()
            n = read_page(page)
            print(f"page {page}: {n} crops", flush=True)
            self.todo.task_done()


def main():
    todo = queue.Queue()
    pages = iter(range(200))
    # scale out by one worker at a time while the backlog grows
    for _ in range(14):
        Worker(todo).start()
        for _ in range(4):
            todo.put(next(pages))
        todo.join()
        time.sleep(0.3)
    print("lines", len(LINES))


if __name__ == "__main__":
    main()
