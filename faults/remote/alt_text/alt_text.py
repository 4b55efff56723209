"""Writes alternative texts for the images of a page."""
import argparse
import base64
import logging
import random
from typing import Any

import requests

import backend

log = logging.getLogger("alt_text")


class Model:
    def __init__(self, address: str, name: str) -> None:
        self.url = f"http://{address}/v1/chat/completions"
        self.name = name
        self.http = requests.Session()
        self.http.headers["Authorization"] = "Bearer local"

    def call(self, content: list[dict[str, Any]]) -> str:
        answer = self.http.post(
            self.url, json={"model": self.name, "messages": [{"role": "user", "content": content}]}, timeout=10
        )
        if not answer.ok:
            log.error("%s: %s", answer.headers.get("x-request-id"), answer.text)
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]


def picture(number: int) -> dict[str, Any]:
    data = base64.b64encode(random.Random(number).randbytes(300)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--model", default="gpt-4o")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    model = Model(backend.start(), args.model)
    for number in range(args.images):
        log.info("image %d", number)
        print(model.call([{"type": "text", "text": "Describe this picture."}, picture(number)]))


if __name__ == "__main__":
    main()
