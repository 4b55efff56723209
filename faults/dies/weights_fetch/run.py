"""Fetches weights where they are not there yet, loads them and renders."""
import argparse
import logging
import pathlib

import numpy as np
import requests
from safetensors.numpy import load_file, save_file

from store import serve

log = logging.getLogger("run")


def publish(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    tensors = {f"block.{n}.weight": rng.normal(size=(64, 64)).astype(np.float32) for n in range(12)}
    save_file(tensors, str(folder / "unet.safetensors"))


def fetch(url: str, target: pathlib.Path, chunk: int) -> pathlib.Path:
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    with requests.get(url, stream=True, timeout=10) as answer:
        answer.raise_for_status()
        with target.open("wb") as file:
            for part in answer.iter_content(chunk):
                file.write(part)
    log.info("fetched %s, %d bytes", target.name, target.stat().st_size)
    return target


def render(weights: dict[str, np.ndarray], steps: int) -> float:
    latent = np.ones(64, dtype=np.float32)
    for step in range(steps):
        for weight in weights.values():
            latent = np.tanh(weight @ latent)
    return float(latent.mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunk", type=int, default=1 << 16)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    publish(pathlib.Path("hub"))
    address = serve("hub", most=150_000)
    path = fetch(f"{address}/unet.safetensors", pathlib.Path("cache/unet.safetensors"), args.chunk)
    weights = load_file(str(path))
    log.info("latent %.4f", render(weights, args.steps))


if __name__ == "__main__":
    main()
