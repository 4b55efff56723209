"""Embed documents with a few worker threads and write one .npy at the end."""
import queue
import sys
import threading

import numpy as np

DIM = 96
jobs = queue.Queue()
vectors = {}


def tokens(text):
    return [hash(w) % 30_000 for w in text.lower().split()]


class Embedder(threading.Thread):
    def __init__(self, n):
        super().__init__(name=f"embed-{n}", daemon=True)
        self.table = np.random.default_rng(n).standard_normal((30_000, DIM)).astype("f4")

    def run(self):
        while True:
            doc_id, text = jobs.get()
            ids = tokens(text)
            if not ids:
                print(f"skip {doc_id}: no text", file=sys.stderr)
                continue
            v = self.table[ids].mean(axis=0)
            vectors[doc_id] = v / np.linalg.norm(v)
            jobs.task_done()


def corpus():
    words = "the quick model reads a long page of text and answers briefly".split()
    for i in range(300):
        yield f"doc{i:04d}", " ".join(words[(i + k) % len(words)] for k in range(i % 50))


def main():
    for n in range(3):
        Embedder(n).start()
    for item in corpus():
        jobs.put(item)
    jobs.join()
    np.save("vectors.npy", np.stack([vectors[k] for k in sorted(vectors)]))
    print("saved", len(vectors))


if __name__ == "__main__":
    main()
