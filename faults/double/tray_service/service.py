"""Tags pictures in the background; a thread works, the main thread reports."""
import argparse
import queue
import sys
import threading
import time
import traceback

from tqdm import tqdm


class Tagger(threading.Thread):
    def __init__(self, batches: int) -> None:
        super().__init__(daemon=True)
        self.batches = batches
        self.events: "queue.Queue[tuple[str, object]]" = queue.Queue()

    def run(self) -> None:
        try:
            for batch in range(self.batches):
                self.events.put(("tags", self.tag(batch)))
            self.events.put(("end", None))
        except Exception as error:
            self.events.put(("error", error))

    def tag(self, batch: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for picture in tqdm(range(20), desc=f"batch {batch}"):
            time.sleep(0.02)
            tag = ("sky", "face", "text")[(picture + batch) % 3]
            counts[tag] = counts.get(tag, 0) + 1
        return counts


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=1)
    args = parser.parse_args()
    print("tagger started", flush=True)
    tagger = Tagger(args.batches)
    tagger.start()
    while True:
        kind, value = tagger.events.get()
        if kind == "end":
            return 0
        if kind == "error":
            traceback.print_exception(value, file=sys.stdout)
            return 1
        print(kind, value, flush=True)


if __name__ == "__main__":
    sys.exit(main())
