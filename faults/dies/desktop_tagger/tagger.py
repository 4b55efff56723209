"""Tags pictures and prints the counts of each batch."""
import argparse
import sys
import time
import traceback
from collections import Counter

from tqdm import tqdm

TAGS = ("sky", "face", "text")


def warm_up(rounds: int) -> None:
    for number in range(rounds):
        time.sleep(0.05)
        print(f"warm-up {number + 1}/{rounds}")


def tag(batch: int, pictures: int) -> Counter:
    counts: Counter = Counter()
    for picture in tqdm(range(pictures), desc=f"batch {batch}"):
        time.sleep(0.02)
        counts[TAGS[(picture + batch) % 3]] += 1
    return counts


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=20)
    args = parser.parse_args()
    warm_up(5)
    for batch in range(args.batches):
        try:
            print(batch, dict(tag(batch, args.pictures)))
        except Exception:
            traceback.print_exc(file=sys.stdout)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
