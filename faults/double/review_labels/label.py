"""Labels reviews with a remote classifier."""
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests

import backend

REVIEWS = [
    "Works as it should.",
    "Broke on the second day.",
    "My children love it.",
    "Far too loud.",
    "Would buy it again.",
    "The box was empty.",
    "Good value.",
]


class Classifier:
    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/models/reviews"

    def __call__(self, text: str) -> str:
        answer = requests.post(self.url, json={"inputs": text}, timeout=5).json()
        best = max(answer["labels"], key=lambda label: label["score"])
        return best["label"]


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    classify = Classifier(backend.start())
    counts: Counter = Counter()
    with ThreadPoolExecutor(2) as pool:
        for review, label in zip(REVIEWS, pool.map(classify, REVIEWS)):
            counts[label] += 1
            print(f"{label:5} {review}", flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
