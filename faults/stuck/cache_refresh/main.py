"""An embedding cache: readers refresh the index, the janitor trims it."""
import threading
import time

index_lock = threading.Lock()
store_lock = threading.Lock()
index, store = {}, {}


def refresh():
    while True:
        with index_lock:
            index["generation"] = index.get("generation", 0) + 1
            time.sleep(0.2)
            with store_lock:
                store["vectors"] = [0.0] * 128


def trim():
    while True:
        with store_lock:
            store.pop("vectors", None)
            time.sleep(0.2)
            with index_lock:
                index.clear()


def main():
    workers = [threading.Thread(target=job, name=job.__name__) for job in (refresh, trim)]
    for worker in workers:
        worker.start()
    print("cache ready", flush=True)
    for worker in workers:
        worker.join()


main()
