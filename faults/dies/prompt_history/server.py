"""Renders prompts in a pool and remembers them."""
import argparse
import logging
import pathlib
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from history import History

log = logging.getLogger("server")


class Renderer:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.history: History | None = None

    def render(self, number: int, prompt: str) -> str:
        with self.lock:
            if self.history is None:
                self.history = History(self.folder / "history.db")
            seen = self.history.remember(prompt, number)
        time.sleep(0.2)
        return f"{number}: {prompt} (seen {seen} times, {threading.current_thread().name})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--threads", type=int, default=3)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    prompts = ["a cat", "a harbour", "a cat", "snow", "a harbour", "a desk"]
    with tempfile.TemporaryDirectory() as folder:
        renderer = Renderer(pathlib.Path(folder))
        with ThreadPoolExecutor(args.threads, thread_name_prefix="render") as pool:
            first = pool.submit(renderer.render, 0, prompts[0])
            log.info("%s", first.result())
            jobs = [pool.submit(renderer.render, n, prompts[n % len(prompts)]) for n in range(1, args.requests)]
            for job in jobs:
                log.info("%s", job.result())


if __name__ == "__main__":
    main()
