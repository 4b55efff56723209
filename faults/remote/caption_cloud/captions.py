"""Fetches captions of images from a service; tries again where that may help."""
import argparse
import logging
import warnings

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

import backend

log = logging.getLogger("captions")


class Service:
    def __init__(self, address: str, tries: int) -> None:
        self.url = f"http://{address}/v1/caption"
        self.http = requests.Session()
        retry = Retry(
            total=tries,
            backoff_factor=0.2,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods=("POST",),
        )
        self.http.mount("http://", HTTPAdapter(max_retries=retry))

    def caption(self, image: bytes) -> str:
        answer = self.http.post(self.url, data=image, timeout=5)
        answer.raise_for_status()
        return answer.json()["caption"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--tries", type=int, default=3)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    warnings.warn("v1/caption will be replaced by v2/describe", DeprecationWarning, stacklevel=1)
    service = Service(backend.start(), args.tries)
    for number in range(args.images):
        log.info("%d: %s", number, service.caption(bytes([number]) * 256))


if __name__ == "__main__":
    main()
