"""Finds spans in a signal and keeps those that do not overlap."""
import random
from dataclasses import dataclass


@dataclass
class Span:
    start: float
    end: float
    score: float


def propose(count: int, seed: int = 3) -> list[Span]:
    rng = random.Random(seed)
    spans = []
    for _ in range(count):
        start = rng.uniform(0, 90)
        spans.append(Span(start, start + rng.uniform(1, 10), rng.random()))
    return sorted(spans, key=lambda span: -span.score)


class Suppressor:
    def __init__(self, threshold: float) -> None:
        from ops import _nms

        self.overlap = _nms.overlap
        self.threshold = threshold

    def keep(self, spans: list[Span]) -> list[Span]:
        kept: list[Span] = []
        for span in spans:
            if all(self.overlap(span.start, span.end, k.start, k.end) < self.threshold for k in kept):
                kept.append(span)
        return kept


if __name__ == "__main__":
    spans = propose(40)
    print(f"{len(spans)} spans proposed", flush=True)
    print(f"{len(Suppressor(0.5).keep(spans))} kept")
