"""Text recognition over line images of any width."""
import time

import numpy as np

import recognizer


def widths():
    rng = np.random.default_rng(0)
    seen = []
    for i in range(30):
        w = 200 + 70 * i + int(rng.integers(0, 40))
        seen.append(w)
        yield w
        yield seen[int(rng.integers(0, len(seen)))]


def main():
    rec = recognizer.load()
    for i, w in enumerate(widths()):
        line = np.random.default_rng(i).random((1, 1, 64, w), dtype=np.float32)
        out = rec.run(None, {"line": line})[0]
        print(f"line {i}: {w} px -> {out.shape[-1]} steps", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
