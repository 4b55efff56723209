import time

import numpy as np
from tqdm import tqdm


def denoise(latent, step):
    end = time.monotonic() + 4
    while time.monotonic() < end:
        latent = 0.99 * latent + 0.01 * np.roll(latent, 1, axis=0)
        time.sleep(0.01)
    return latent


def main():
    latent = np.random.default_rng(0).standard_normal((128, 128))
    for step in tqdm(range(3), desc="denoise", mininterval=10):
        latent = denoise(latent, step)
    tqdm.write(f"std {latent.std():.4f}")


if __name__ == "__main__":
    main()
