"""Submits a graph for several seeds, with a try again for lost connections."""
import copy
import json
import logging
import sys
import time
import urllib.error
import urllib.request
import uuid

import backend

log = logging.getLogger("submit")


def with_seed(graph: dict, seed: int) -> dict:
    changed = copy.deepcopy(graph)
    for node in changed.values():
        if "seed" in node["inputs"]:
            node["inputs"]["seed"] = seed
    return changed


def submit(base: str, graph: dict, client: str) -> str:
    data = json.dumps({"prompt": graph, "client_id": client}).encode()
    for attempt in range(3):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{base}/prompt", data=data), timeout=5) as answer:
                return json.load(answer)["prompt_id"]
        except urllib.error.HTTPError as error:
            log.error("%s", error.read().decode())
            raise
        except urllib.error.URLError as error:
            log.warning("attempt %d: %s", attempt, error)
            time.sleep(0.2)
    raise SystemExit("no connection")


def main(path: str) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    with open(path) as file:
        graph = json.load(file)
    base = f"http://{backend.start()}"
    client = uuid.UUID(int=7).hex
    for seed in range(3):
        log.info("seed %d: %s", seed, submit(base, with_seed(graph, seed), client))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
