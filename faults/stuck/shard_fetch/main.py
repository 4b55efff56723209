import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPConnection


def fetch(port, name):
    conn = HTTPConnection("127.0.0.1", port)
    conn.request("GET", f"/{name}")
    body = conn.getresponse().read()
    conn.close()
    return name, len(body), hashlib.sha256(body).hexdigest()[:12]


def main():
    mirror = subprocess.Popen([sys.executable, "mirror.py"], stdout=subprocess.PIPE, text=True)
    port = int(mirror.stdout.readline())
    names = [f"model-{i:05d}-of-00006.safetensors" for i in range(1, 7)]
    t0 = time.time()
    with ThreadPoolExecutor(3) as pool:
        for done in as_completed([pool.submit(fetch, port, n) for n in names]):
            name, size, digest = done.result()
            print(f"{name} {size / 1e6:.1f} MB {digest} {time.time() - t0:.1f}s", flush=True)
    mirror.terminate()


if __name__ == "__main__":
    main()
