import argparse
import hashlib
import json
import os
import pathlib
import sys
import time

OUT = pathlib.Path("out")


class IndexWriter:
    """One writer at a time may change the index."""

    def __init__(self, folder):
        self.pid_file = folder / "writer.pid"
        self.index = folder / "index.json"

    def __enter__(self):
        waited = 0.0
        while True:
            try:
                descriptor = os.open(self.pid_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                break
            except FileExistsError:
                if waited == 0.0:
                    print("another writer is active", file=sys.stderr, flush=True)
                waited += 0.2
                time.sleep(0.2)
        os.write(descriptor, b"%d\n" % os.getpid())
        os.close(descriptor)
        self.entries = json.loads(self.index.read_text()) if self.index.exists() else {}
        return self

    def __exit__(self, *_):
        partial = self.index.with_suffix(".new")
        partial.write_text(json.dumps(self.entries))
        partial.replace(self.index)
        self.pid_file.unlink()


def vectors(shard, seconds):
    end = time.monotonic() + seconds
    number = 0
    while number < 50 or time.monotonic() < end:
        yield f"{shard}/{number}", hashlib.sha1(f"{shard}:{number}".encode()).hexdigest()
        number += 1
        time.sleep(0.002)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--merge", action="store_true")
    options = parser.parse_args()
    with IndexWriter(OUT) as writer:
        if options.merge:
            writer.entries["merged"] = sorted(set(writer.entries.get("merged", [])) | {options.shard})
        else:
            writer.entries.update(vectors(options.shard, options.seconds))
        print(len(writer.entries), "entries", flush=True)


if __name__ == "__main__":
    main()
