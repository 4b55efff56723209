"""Submits workflows and collects the names of their images."""
import logging
import sys
import time

import requests

import backend

log = logging.getLogger("collect")


class Runner:
    def __init__(self, address: str) -> None:
        self.base = f"http://{address}"
        self.http = requests.Session()

    def submit(self, seed: int) -> str:
        graph = {"3": {"class_type": "KSampler", "inputs": {"seed": seed}}}
        answer = self.http.post(f"{self.base}/prompt", json={"prompt": graph}, timeout=5)
        answer.raise_for_status()
        return answer.json()["prompt_id"]

    def result(self, prompt_id: str) -> list[str]:
        entry: dict = {}
        while not entry:
            time.sleep(0.1)
            entry = self.http.get(f"{self.base}/history/{prompt_id}", timeout=5).json().get(prompt_id, {})
        if entry["status"]["status_str"] == "error":
            for kind, details in entry["status"]["messages"]:
                if kind == "execution_error":
                    raise RuntimeError(
                        f"{kind} in node {details['node_id']} ({details['node_type']}): "
                        f"{details['exception_type']}: {details['exception_message']}"
                    )
        return [image["filename"] for output in entry["outputs"].values() for image in output["images"]]


def main() -> int:
    logging.basicConfig(level=logging.INFO)
    runner = Runner(backend.start())
    for seed in (11, 12, 13):
        prompt_id = runner.submit(seed)
        log.info("seed %d is %s", seed, prompt_id)
        print(seed, *runner.result(prompt_id), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
