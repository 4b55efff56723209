"""Answers prompts of differing length from a queue; two workers share the model."""
import logging
import queue
import random
import threading
import time

import numpy as np

from vendor.rotary import rotate

logging.basicConfig(level=logging.INFO, format="%(threadName)s %(message)s")
log = logging.getLogger("serve")
WIDTH = 128


class Attention:
    def __init__(self):
        self.embedding = np.random.default_rng(3).normal(size=(997, WIDTH))

    def __call__(self, tokens):
        vectors = rotate(self.embedding[tokens])
        scores = vectors[-1] @ vectors.T / WIDTH**0.5
        weights = np.exp(scores - scores.max())
        return int((weights / weights.sum() @ vectors).argmax())


class Worker(threading.Thread):
    def __init__(self, name, model, prompts):
        super().__init__(name=name)
        self.model, self.prompts, self.done = model, prompts, 0

    def run(self):
        while (tokens := self.prompts.get()) is not None:
            best = self.model(tokens)
            self.done += 1
            if self.done % 50 == 0:
                log.info("%d prompts, last answer %d", self.done, best)


def main(count=460):
    source, prompts = random.Random(8), queue.Queue(4)
    workers = [Worker(f"worker-{n}", Attention(), prompts) for n in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(count):
        prompts.put([source.randrange(997) for _ in range(source.randrange(100, 900))])
        time.sleep(0.012)
    for _ in workers:
        prompts.put(None)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
