"""Score a folder of clips and print a progress line every 200 ms."""
import signal
import threading

import numpy as np


class Progress:
    def __init__(self, total):
        self.total = total
        self.done = 0
        self.seconds = 0.0
        self._guard = threading.Lock()

    def step(self, clip, model):
        with self._guard:
            score = model(clip)
            self.done += 1
            self.seconds += len(clip) / 16_000
        return score

    def snapshot(self):
        self._guard.acquire()
        try:
            return self.done, self.seconds
        finally:
            self._guard.release()


def make_model(dim=384):
    rng = np.random.default_rng(3)
    layers = [rng.standard_normal((dim, dim)) / dim ** 0.5 for _ in range(6)]

    def run(clip):
        h = clip[: (len(clip) // dim) * dim].reshape(-1, dim)
        for w in layers:
            h = np.maximum(h @ w, 0)
        return float(h.mean())

    return run


def main():
    rng = np.random.default_rng(0)
    model = make_model()
    bar = Progress(4000)

    def on_tick(signum, frame):
        done, seconds = bar.snapshot()
        print(f"{done}/{bar.total} clips, {seconds:.0f} s of audio", flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    signal.signal(signal.SIGALRM, on_tick)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    best = -1.0
    for _ in range(bar.total):
        best = max(best, bar.step(rng.standard_normal(160_000), model))
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("best", best)


if __name__ == "__main__":
    main()
