import argparse
import hashlib
import time
from dataclasses import dataclass, field

LABELS = ["walk", "run", "sit", "wave", "stand"]


@dataclass
class Clip:
    number: int
    labels: list = field(default_factory=list)

    def frames(self):
        for frame in range(12):
            yield hashlib.md5(b"%d/%d" % (self.number, frame)).digest()


def label(clip):
    for frame in clip.frames():
        state = frame
        for _ in range(4000):
            state = hashlib.sha256(state).digest()
        clip.labels.append(LABELS[state[0] % len(LABELS)])
    return max(set(clip.labels), key=clip.labels.count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=10)
    options = parser.parse_args()
    for number in range(options.clips):
        clip = Clip(number)
        print(f"clip {number}: {label(clip)}", flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
