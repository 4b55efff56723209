"""Transcribes one note."""
import json
import logging
import random
import sys
import time
import urllib.error
import urllib.request

import backend

log = logging.getLogger("transcribe")


def post(url: str, sound: bytes, headers: dict[str, str]) -> dict:
    request = urllib.request.Request(url, sound, {"Content-Type": "audio/flac", **headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def transcribe(address: str, sound: bytes) -> str:
    url = f"http://{address}/models/openai/whisper-large-v3"
    headers: dict[str, str] = {}
    for attempt in range(3):
        try:
            return post(url, sound, headers)["text"]
        except urllib.error.HTTPError as error:
            body = error.read().decode()
            log.warning("attempt %d: %s %s", attempt + 1, error, body)
            if error.code != 503:
                raise
        headers["X-Wait-For-Model"] = "true"
        time.sleep(0.3)
    raise SystemExit("the model did not get ready")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    print(transcribe(backend.start(), random.Random(sys.argv[1]).randbytes(1000)))
