"""Writes a checkpoint, reads it back and compares the digests."""
import argparse
import hashlib
import os
import pathlib
import random
import time


class Checkpoint:
    def __init__(self, path, megabytes):
        self.path, self.megabytes = pathlib.Path(path), megabytes

    def blocks(self):
        block = random.Random(6).randbytes(1 << 20)
        for number in range(self.megabytes):
            yield number.to_bytes(8, "big") + block[8:]

    def write(self):
        digest = hashlib.sha512()
        with open(self.path, "wb") as file:
            for block in self.blocks():
                file.write(block)
                digest.update(block)
                time.sleep(0.03)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def verify(self, rounds=3):
        for _ in range(rounds):
            digest = hashlib.sha512()
            with open(self.path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    digest.update(block[::-1])
        return hashlib.file_digest(open(self.path, "rb"), "sha512").hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=10)
    checkpoint = Checkpoint("model.ckpt", parser.parse_args().megabytes)
    try:
        written = checkpoint.write()
        print("same" if checkpoint.verify() == written else "different", written[:16])
    finally:
        checkpoint.path.unlink()
