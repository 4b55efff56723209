import logging
import threading
import queue

import numpy as np

from store import FeatureStore

logging.basicConfig(level=logging.INFO, format="%(threadName)s %(message)s")
requests = queue.Queue()


def serve(store, answers):
    while (key := requests.get()) is not None:
        try:
            answers[key] = float(np.linalg.norm(store.lookup(key)))
        except KeyError:
            logging.info("no features for %d, using the mean", key)
            answers[key] = 1.0


def main():
    store = FeatureStore("features.db")
    rng = np.random.default_rng(0)
    store.put_many((k, rng.standard_normal(32)) for k in range(1000) if k % 97)
    answers = {}
    threads = [threading.Thread(target=serve, args=(store, answers), name=f"serve-{i}") for i in range(5)]
    for t in threads:
        t.start()
    for key in rng.permutation(1000).tolist():
        requests.put(key)
    for _ in threads:
        requests.put(None)
    for t in threads:
        t.join()
    print("answered", len(answers))


if __name__ == "__main__":
    main()
