"""Sends prompts to the render node."""
import argparse
import logging
import subprocess
import sys
import time

import requests

log = logging.getLogger("posters")


class Node:
    def __init__(self, jobs: int) -> None:
        self.process = subprocess.Popen([sys.executable, "node.py", str(jobs)], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def render(session: requests.Session, url: str, prompt: str) -> str:
    answer = session.post(f"{url}/render", json={"prompt": prompt}, timeout=5)
    answer.raise_for_status()
    return answer.json()["status"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--node-jobs", type=int, default=3)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    node = Node(args.node_jobs)
    try:
        with requests.Session() as session:
            for number in range(args.prompts):
                log.info("poster %d: %s", number, render(session, node.url, f"poster {number}"))
                time.sleep(0.3)
    finally:
        node.close()


if __name__ == "__main__":
    main()
