"""Two-slot frame exchange between a camera thread and the detector."""
import threading
import time

import numpy as np


class Gate:
    def __init__(self):
        self.cond = threading.Condition()
        self.frame = None
        self.acks = 0

    def publish(self, frame):
        with self.cond:
            self.frame = frame
            self.cond.notify()
        with self.cond:
            self.cond.wait()  # until the detector is through with it
        return self.acks

    def take(self):
        with self.cond:
            self.cond.wait()
            return self.frame

    def ack(self):
        with self.cond:
            self.acks += 1
            self.cond.notify()


def camera(gate, n):
    rng = np.random.default_rng(1)
    for i in range(n):
        gate.publish(rng.integers(0, 255, (120, 160), dtype=np.uint8))
    print("camera closed")


def build_detector():
    rng = np.random.default_rng(2)
    bank = rng.standard_normal((16, 9))
    for _ in range(30):  # whiten the filter bank
        u, s, vt = np.linalg.svd(bank @ bank.T + np.eye(16))
        bank = u.T @ bank
        time.sleep(0.02)
    return bank


def main():
    gate = Gate()
    cam = threading.Thread(target=camera, args=(gate, 30))
    cam.start()
    bank = build_detector()
    print("detector ready", bank.shape, flush=True)
    hits = 0
    for _ in range(30):
        frame = gate.take()
        patch = frame[:9, 0].astype(float)
        hits += int((bank @ patch).max() > 0)
        gate.ack()
    cam.join()
    print("hits", hits)


if __name__ == "__main__":
    main()
