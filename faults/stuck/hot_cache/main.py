import os
import sys
import time

from cache import HotCache


def spawn(fn, *args):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fn(*args)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def evaluate(cache, part):
    energy = sum(float((cache.get(k) ** 2).sum()) for k in range(part * 10, part * 10 + 10))
    print(f"part {part}: energy {energy:.1f}", flush=True)


def main():
    cache = HotCache()
    for k in range(20):
        cache.get(k)
    time.sleep(0.1)
    pids = [spawn(evaluate, cache, part) for part in range(3)]
    bad = [p for p in pids if os.waitpid(p, 0)[1]]
    print("failed parts", len(bad))


if __name__ == "__main__":
    main()
