"""Generate a few images with each checkpoint in turn."""
import itertools
import time

import numpy as np

from zoo import EventBus, Pipeline

NAMES = ["base", "anime", "photo", "inpaint"]


def main():
    bus = EventBus()
    pipe = None
    for n, name in enumerate(itertools.islice(itertools.cycle(NAMES), 40)):
        if pipe is not None:
            pipe.unload()
        pipe = Pipeline(name, bus)
        for seed in range(3):
            image = pipe.generate(seed)
            bus.emit("image", name, seed, float(np.std(image)))
        print(f"switch {n}: {name} std {np.std(image):.3f}", flush=True)
        time.sleep(0.25)


if __name__ == "__main__":
    main()
