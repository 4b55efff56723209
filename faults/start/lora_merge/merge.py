"""Merges a low-rank adapter into base weights."""
import argparse
import logging
import pathlib

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

log = logging.getLogger("merge")
BLOCKS = ["down.0", "mid", "up.0"]


def initial_weights(path: pathlib.Path) -> None:
    """A small base model, written on the first start."""
    rng = np.random.default_rng(0)
    path.parent.mkdir(exist_ok=True)
    save_file({f"{block}.weight": rng.normal(size=(32, 32)).astype(np.float32) for block in BLOCKS}, str(path))


def adapter(path: str) -> dict[str, np.ndarray]:
    parts = {}
    with safe_open(path, framework="numpy") as handle:
        for key in handle.keys():
            parts[key] = handle.get_tensor(key)
    return parts


def merge(base: dict[str, np.ndarray], parts: dict[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    merged = dict(base)
    for block in BLOCKS:
        merged[f"{block}.weight"] = base[f"{block}.weight"] + scale * parts[f"{block}.up"] @ parts[f"{block}.down"]
    return merged


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--lora", required=True)
    parser.add_argument("--scale", type=float, default=0.8)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    base_path = pathlib.Path(args.base)
    if not base_path.exists():
        initial_weights(base_path)
    base = load_file(args.base)
    log.info("base: %d tensors", len(base))
    merged = merge(base, adapter(args.lora), args.scale)
    save_file(merged, "work/merged.safetensors")
    log.info("written")


if __name__ == "__main__":
    main()
