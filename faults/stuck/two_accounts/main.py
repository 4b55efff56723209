"""Buffers that hand tiles to each other."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor


class Buffer:
    def __init__(self, tiles):
        self.lock = threading.Lock()
        self.tiles = tiles


def move(source, target):
    with source.lock:
        tile = source.tiles.pop()
        time.sleep(0.3)
        with target.lock:
            target.tiles.append(tile)


def main():
    left, right = Buffer([1, 2, 3]), Buffer([4, 5, 6])
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(move, left, right), pool.submit(move, right, left)]
        for job in jobs:
            job.result()
    print("moved")


main()
