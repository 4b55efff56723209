"""Embeds sentences with one attention head and looks up the nearest topic."""
import sys

import numpy as np
import onnxruntime

from export import WIDTH, head

TOPICS = ["travel", "cooking", "weather", "sport"]


class Embedder:
    def __init__(self, path: str) -> None:
        self.scores, self.mix = (
            onnxruntime.InferenceSession(f"{path}/{part}.onnx", providers=["CPUExecutionProvider"])
            for part in ("scores", "mix")
        )

    def tokens(self, text: str) -> np.ndarray:
        rows = []
        for word in text.split():
            rng = np.random.default_rng(abs(sum(map(ord, word))))
            rows.append(rng.normal(size=WIDTH) * len(word) / 10)
        return np.array(rows, dtype=np.float32)

    def __call__(self, text: str) -> np.ndarray:
        tokens = self.tokens(text)
        scores = self.scores.run(None, {"x": tokens})[0]
        return self.mix.run(None, {"scores": scores, "x": tokens})[0].mean(axis=0)


def histogram(vector: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(vector, bins=8)
    return counts


def main() -> int:
    head(".")
    embedder = Embedder(".")
    rng = np.random.default_rng(12)
    topics = rng.normal(size=(len(TOPICS), WIDTH))
    for text in ("we go by sea", "it is wet", "internationalisation of transcontinental characteristics"):
        vector = embedder(text)
        print(f"{text[:30]:30} first values {np.round(vector[:4], 3)}", file=sys.stderr)
        print(TOPICS[int((topics @ vector).argmax())], histogram(vector), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
