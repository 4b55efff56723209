"""Upscales images through a proxy, several at a time."""
import argparse
import json
import logging
import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import backend

log = logging.getLogger("upscale")


def image(number: int) -> bytes:
    return random.Random(number).randbytes(2048)


class Upscaler:
    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/upscale"

    def __call__(self, number: int) -> int:
        request = urllib.request.Request(
            self.url, image(number), {"Content-Type": "application/octet-stream"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            size = json.load(answer)["bytes"]
        log.info("image %d: %d bytes", number, size)
        return size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    upscaler = Upscaler(backend.start())
    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(upscaler, range(args.images)))
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
