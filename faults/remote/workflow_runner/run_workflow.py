"""Runs a workflow on the node server and waits for its images."""
import argparse
import json
import logging
import pathlib
import time
import urllib.request

import backend

log = logging.getLogger("workflow")


class Server:
    def __init__(self, address: str) -> None:
        self.base = f"http://{address}"

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.base + path, timeout=5) as answer:
            return json.load(answer)

    def submit(self, graph: dict) -> str:
        data = json.dumps({"prompt": graph, "client_id": "batch"}).encode()
        request = urllib.request.Request(f"{self.base}/prompt", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)["prompt_id"]

    def wait(self, prompt_id: str, deadline: float) -> dict:
        started = time.monotonic()
        while time.monotonic() - started < deadline:
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return history[prompt_id]["outputs"]
            queue = self.get("/queue")
            log.info("running %d, pending %d", len(queue["queue_running"]), len(queue["queue_pending"]))
            time.sleep(0.5)
        raise TimeoutError(f"prompt {prompt_id} not finished after {deadline:g} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workflow", type=pathlib.Path, default=pathlib.Path("workflow.json"))
    parser.add_argument("--deadline", type=float, default=60)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    server = Server(backend.start())
    log.info("server: %s", server.get("/system_stats")["system"]["os"])
    prompt_id = server.submit(json.loads(args.workflow.read_text()))
    log.info("submitted %s", prompt_id)
    for node, output in server.wait(prompt_id, args.deadline).items():
        print(node, output)


if __name__ == "__main__":
    main()
