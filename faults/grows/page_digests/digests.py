"""Serves digest requests for scanned volumes; a request goes to the thread that holds its tenant's model."""
import argparse
import gc
import hashlib
import queue
import threading
import time


class Tenant(threading.Thread):
    """One model, one thread; only one tenant computes at a time, as they share the scanner's memory."""

    turn = threading.Lock()

    def __init__(self, name):
        super().__init__(name=name, daemon=True)
        self.requests = queue.Queue()
        self.facts = []
        self.start()

    def run(self):
        while True:
            volume, strips, answer = self.requests.get()
            with self.turn:
                answer.put(self.digest(volume, strips))
            gc.collect()

    def digest(self, volume, strips, strip_bytes=24_000):
        pages = [None] * strips
        for strip in range(strips):
            pages[strip] = bytearray(strip_bytes)
            pages[strip][::53] = bytes([strip % 251]) * len(range(0, strip_bytes, 53))
        whole = hashlib.sha256()
        for page in pages:
            whole.update(page)
        fact = f"volume {volume}: {len(pages)} strips, {whole.hexdigest()[:16]} ".ljust(700).encode()
        self.facts.append(fact)
        return fact.decode().strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=3)
    parser.add_argument("--volumes", type=int, default=6)
    parser.add_argument("--strips", type=int, default=750)
    options = parser.parse_args()
    tenants = [Tenant(f"tenant-{number}") for number in range(options.tenants)]
    for volume in range(options.volumes):
        answer = queue.Queue()
        tenants[volume % len(tenants)].requests.put((volume, options.strips, answer))
        print(answer.get(), flush=True)
        time.sleep(0.45)
    print(sum(len(tenant.facts) for tenant in tenants), "facts kept")


if __name__ == "__main__":
    main()
