import random
import time

import numpy as np

import vendorblur


def crops(n):
    """Faces come in all sizes; now and then a size repeats."""
    rng = random.Random(4)
    sizes = []
    for i in range(n):
        if i % 12 >= 6:
            yield rng.choice(sizes)
        else:
            sizes.append((rng.randrange(180, 420), rng.randrange(180, 420)))
            yield sizes[-1]


def main():
    for i, (h, w) in enumerate(crops(110)):
        face = vendorblur.blur(np.full((h, w), 0.5, np.float32))
        print(f"face {i}: {h}x{w} {face.mean():.3f}", flush=True)
        time.sleep(0.06)


if __name__ == "__main__":
    main()
