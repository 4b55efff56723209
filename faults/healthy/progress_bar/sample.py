"""Samples pictures; one bar for the batch and one for the steps, which are redrawn rarely on slow terminals."""
import logging
import time
from dataclasses import dataclass

from tqdm import tqdm

log = logging.getLogger("sample")


@dataclass
class Scheduler:
    steps: int
    sigma: float = 14.6

    def __iter__(self):
        for step in range(self.steps):
            yield step, self.sigma * (1 - step / self.steps) ** 7


def denoise(latent, sigma):
    time.sleep(0.55)
    return [value * (1 - sigma / 100) for value in latent]


def main():
    pictures = []
    for number in tqdm(range(2), desc="pictures", mininterval=30):
        latent = [float((number + 3) * k % 11) for k in range(64)]
        for _, sigma in tqdm(Scheduler(8), total=8, desc="steps", leave=False, mininterval=30):
            latent = denoise(latent, sigma)
        pictures.append(sum(latent))
    print(f"\r{len(pictures)} pictures\r\n", end="")


if __name__ == "__main__":
    main()
