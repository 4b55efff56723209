"""Answer each question within its deadline, or say that it took too long."""
import threading
import time

import numpy as np


class TooSlow(Exception):
    pass


def with_deadline(seconds):
    def wrap(fn):
        def call(*args):
            box = {}
            t = threading.Thread(target=lambda: box.setdefault("value", fn(*args)), daemon=True)
            t.start()
            t.join(seconds)
            if t.is_alive():
                raise TooSlow(f"{fn.__name__} took more than {seconds} s")
            return box["value"]
        return call
    return wrap


@with_deadline(0.25)
def answer(question):
    x = np.random.default_rng(len(question)).standard_normal((192, 192))
    rounds = 5 if len(question) % 3 else 100_000
    cache = []
    for i in range(rounds):
        x = np.tanh(x @ x.T / 40)
        if i < 40:
            cache.append(x.copy())
    return float(x[0, 0])


def main():
    for i in range(60):
        q = "what is shown here " + "?" * i
        try:
            print(i, f"{answer(q):.3f}", flush=True)
        except TooSlow as e:
            print(i, "sorry:", e, flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
