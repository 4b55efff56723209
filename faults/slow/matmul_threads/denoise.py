"""Runs the denoiser on the CPU, with the attention slices spread over threads."""
import argparse
import logging
import os
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np  # noqa: E402

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("denoise")


class Denoiser:
    def __init__(self, settings):
        self.width = settings["model"]["width"]
        self.layers = settings["model"]["layers"]
        self.slices = settings["runtime"]["attention_slices"]
        source = np.random.default_rng(0)
        self.query = source.normal(0, 0.1, (self.width, self.width)).astype(np.float32)
        self.pool = ThreadPoolExecutor(settings["runtime"]["threads"], thread_name_prefix="slice")

    def attend(self, tokens):
        for _ in range(self.layers):
            scores = tokens @ self.query @ tokens.T
            scores -= scores.max(1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(1, keepdims=True)
            tokens = scores @ tokens
        return tokens

    def step(self, latents):
        slices = np.array_split(latents, self.slices)
        return np.concatenate(list(self.pool.map(self.attend, slices)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    with open("settings.toml", "rb") as file:
        denoiser = Denoiser(tomllib.load(file))
    latents = np.random.default_rng(2).normal(size=(96 * 200, denoiser.width)).astype(np.float32)
    for step in range(options.steps):
        started = time.monotonic()
        latents = denoiser.step(latents)
        log.info("step %d/%d %.2f s", step + 1, options.steps, time.monotonic() - started)


if __name__ == "__main__":
    main()
