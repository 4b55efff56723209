"""Fetches the files of a model before the service starts."""
import argparse
import logging
import pathlib
import sys

import requests
from tqdm import tqdm

import backend

log = logging.getLogger("warmup")
FILES = ["config.json", "tokenizer.json", "model.safetensors"]


class Hub:
    def __init__(self, address: str, folder: pathlib.Path) -> None:
        self.base, self.folder = f"http://{address}", folder
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, repo: str, name: str) -> pathlib.Path:
        target = self.folder / name
        with requests.get(f"{self.base}/{repo}/resolve/main/{name}", stream=True, timeout=10) as answer:
            if "X-Error-Message" in answer.headers:
                log.error("%s: %s", answer.headers.get("X-Error-Code"), answer.headers["X-Error-Message"])
            answer.raise_for_status()
            with target.open("wb") as file:
                for part in answer.iter_content(8192):
                    file.write(part)
        return target


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repo", required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    hub = Hub(backend.start(), pathlib.Path("models") / args.repo)
    size = 0
    for name in tqdm(FILES, desc="fetching", unit="file"):
        size += hub.fetch(args.repo, name).stat().st_size
    log.info("%d bytes", size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
