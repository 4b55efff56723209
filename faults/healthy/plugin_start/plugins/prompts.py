"""Registers the prompts; their tables come from a slow share."""
import pathlib
import time

TABLE = {}
for part in range(12):
    time.sleep(0.17)
    TABLE[part] = len(pathlib.Path(__file__).read_bytes()) * part


def count():
    return len(TABLE)
