"""Interactive segmentation sessions: each lives on one thread of the pool until it is closed."""
import itertools
import logging
import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np

logging.basicConfig(level=logging.INFO, format="%(threadName)s %(message)s")


class Session:
    ids = itertools.count()

    def __init__(self, image):
        self.id = next(self.ids)
        self.image = image
        self.clicks = queue.Queue()

    def run(self):
        mask = np.zeros(self.image.shape, bool)
        while True:
            click = self.clicks.get()
            if click is None:
                return int(mask.sum())
            y, x = click
            mask |= abs(self.image - self.image[y, x]) < 0.02


class Service:
    def __init__(self, threads=4):
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="seg")

    def open(self, image):
        s = Session(image)
        s.result = self.pool.submit(s.run)
        return s

    def click(self, session, y, x):
        return self.pool.submit(session.clicks.put, (y, x))

    def close(self, session):
        return self.pool.submit(session.clicks.put, None)


def main():
    rng = np.random.default_rng(0)
    svc = Service()
    for users in (1, 2, 4):
        sessions = [svc.open(rng.random((64, 64))) for _ in range(users)]
        for s in sessions:
            svc.click(s, *rng.integers(0, 64, 2).tolist()).result()
        for s in sessions:
            svc.close(s).result()
        logging.info("%d users, areas %s", users, [s.result.result() for s in sessions])


if __name__ == "__main__":
    main()
