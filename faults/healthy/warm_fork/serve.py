"""Forks workers from a warm parent which keeps its threads; each worker makes threads of its own."""
import concurrent.futures
import hashlib
import os
import sys
import time


def encode(text, seconds=0.0):
    time.sleep(seconds)
    return hashlib.sha1(text.encode()).hexdigest()[:8]


def worker(number):
    with concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix=f"worker{number}") as pool:
        codes = list(pool.map(encode, [f"{number}/{k}" for k in range(4)], [3.6] * 4))
    return len(codes)


def main():
    parent_pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="parent")
    print("warm", parent_pool.submit(encode, "warm-up").result(), flush=True)
    children = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if worker(number) == 4 else 1)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    parent_pool.shutdown()
    print("workers ended with", codes)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
