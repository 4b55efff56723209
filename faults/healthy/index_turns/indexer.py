import argparse
import fcntl
import json
import os
import pathlib
import time


class Baton:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        while True:
            try:
                self.descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                os.write(self.descriptor, str(os.getpid()).encode())
                return self
            except FileExistsError:
                time.sleep(0.1)

    def __exit__(self, *_):
        os.close(self.descriptor)
        os.unlink(self.path)


def index(name, seconds):
    store = pathlib.Path("store.json")
    with Baton("store.lock"), open("store.journal", "a") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        entries = json.loads(store.read_text()) if store.exists() else {}
        time.sleep(seconds)
        entries[name] = seconds
        store.write_text(json.dumps(entries))
    return entries


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    print(options.name, sorted(index(options.name, options.seconds)), flush=True)
