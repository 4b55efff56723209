"""Serves map tiles to a segmenter and keeps the latest ones."""
import argparse
import random
import time
from collections import OrderedDict


class TileCache:
    def __init__(self, limit):
        self.limit = limit
        self.tiles = OrderedDict()
        self.hits = 0

    def get(self, key):
        if key in self.tiles:
            self.tiles.move_to_end(key)
            self.hits += 1
            return self.tiles[key]
        tile = random.Random(str(key)).randbytes(1024) * 512
        self.tiles[key] = tile
        if len(self.tiles) > self.limit:
            self.tiles.popitem(last=False)
        return tile


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100)
    options = parser.parse_args()
    cache, source, checksum = TileCache(limit=180), random.Random(3), 0
    for number in range(options.requests):
        key = (int(source.gauss(0, 10)), int(source.gauss(0, 10)))
        checksum = (checksum * 31 + sum(cache.get(key)[:512])) % 65521
        time.sleep(0.008)
    print(f"{options.requests} requests, {cache.hits} from the cache, checksum {checksum}")


if __name__ == "__main__":
    main()
