import random
import socket
import subprocess
import sys
import time

import requests


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def with_backoff(fn, tries=12, base=0.4, cap=3.0):
    for n in range(tries):
        try:
            return fn()
        except requests.ConnectionError as e:
            pause = min(cap, base * 2 ** n) * random.uniform(0.8, 1.0)
            print(f"try {n + 1}: {type(e).__name__}, again in {pause:.1f} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    raise SystemExit("backend never came up")


def main():
    port = free_port()
    backend = subprocess.Popen([sys.executable, "backend.py", str(port)])
    r = with_backoff(lambda: requests.get(f"http://127.0.0.1:{port}/model", timeout=5))
    print("model", r.json()["name"])
    backend.terminate()
    backend.wait()


if __name__ == "__main__":
    main()
