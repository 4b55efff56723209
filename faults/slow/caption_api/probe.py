import sys
import threading
import time

import requests

base = f"http://127.0.0.1:{sys.argv[1]}"


def ask(seed, tokens):
    r = requests.post(base + "/caption", json={"seed": seed, "tokens": tokens}, timeout=60)
    print("caption:", r.json()["caption"], flush=True)


ask(1, 20)
threading.Thread(target=ask, args=(2, 400_000)).start()
time.sleep(0.3)
for _ in range(10):
    t0 = time.time()
    requests.get(base + "/health", timeout=60)
    print(f"health {1e3 * (time.time() - t0):.0f} ms", flush=True)
    time.sleep(0.5)
