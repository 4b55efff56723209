"""Counts tokens of subtitle lines in threads, for the price estimate."""
import pathlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tokenizers import Tokenizer
from tqdm import tqdm

MODELS = {"small": "models/bert-small/tokenizer.json", "multi": "models/xlm-r/tokenizer.json"}


class Counter:
    """Each thread has its own tokenizer, made when it is first needed."""

    def __init__(self, model: str) -> None:
        self.path = MODELS[model]
        self.local = threading.local()

    @property
    def tokenizer(self) -> Tokenizer:
        if not hasattr(self.local, "tokenizer"):
            self.local.tokenizer = Tokenizer.from_file(self.path)
        return self.local.tokenizer

    def __call__(self, line: str) -> int:
        if not line.strip():
            return 0
        return len(self.tokenizer.encode(line).ids)


def main(source: str) -> None:
    lines = pathlib.Path(source).read_text().splitlines()
    print(f"{len(lines)} lines", flush=True)
    counter = Counter("multi")
    with ThreadPoolExecutor(3) as pool:
        counts = list(tqdm(pool.map(counter, lines), total=len(lines), desc="counting"))
    print(f"{sum(counts)} tokens, about {sum(counts) * 0.00002:.4f} EUR")


if __name__ == "__main__":
    main(sys.argv[1])
