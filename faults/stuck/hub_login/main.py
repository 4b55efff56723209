import json
import logging
import os
import pathlib

import hub

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


def main():
    cfg = json.loads(pathlib.Path("config.json").read_text())
    api = hub.Api(cfg["endpoint"], home=pathlib.Path(os.environ.get("HUB_HOME", ".hub")))
    logging.info("model %s", cfg["model"])
    files = api.list_files(cfg["model"])
    logging.info("%d files", len(files))


if __name__ == "__main__":
    main()
