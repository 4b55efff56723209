"""Sends pages to the OCR service; gives it some time to start."""
import argparse
import json
import random
import time
import urllib.error
import urllib.request


def read(url: str, page: bytes, patience: float) -> str:
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, data=page, timeout=5) as answer:
                return json.load(answer)["text"]
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--pages", type=int, default=1)
    args = parser.parse_args()
    for number in range(args.pages):
        print(number, read(args.url, random.Random(number).randbytes(500), patience=2.0))
