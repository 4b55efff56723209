"""Feature extraction in a process; the results come back through a queue."""
import multiprocessing


def extract(results):
    for image in range(400):
        results.put({"image": image, "features": [0.5] * 500})


if __name__ == "__main__":
    results = multiprocessing.Queue()
    worker = multiprocessing.Process(target=extract, args=(results,))
    worker.start()
    worker.join()
    print(sum(1 for _ in range(400) if results.get()))
