"""Takes one JSON job a line from its standard input and answers with one line each."""
import json
import multiprocessing
import signal
import sys
import threading
import zlib


def prepare(model):
    global weights
    # Ctrl+C is for the parent, which ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    weights = [zlib.crc32(f"{model}{k}".encode()) for k in range(1000)]


def embed(job):
    position = zlib.crc32(job["text"].encode()) % 990
    return {"id": job["id"], "vector": [value / 2**32 for value in weights[position : position + 4]]}


def main():
    pool = multiprocessing.get_context("fork").Pool(3, prepare, ("mini",))
    lock = threading.Lock()

    def answer(result):
        with lock:
            print(json.dumps(result), flush=True)

    print(json.dumps({"ready": True, "workers": 3}), flush=True)
    try:
        for line in sys.stdin:
            pool.apply_async(embed, (json.loads(line),), callback=answer)
        pool.close()
    except KeyboardInterrupt:
        pool.terminate()
    pool.join()


if __name__ == "__main__":
    main()
