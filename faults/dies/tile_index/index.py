"""Cuts a picture into tile files and opens those that a viewport needs."""
import argparse
import logging
import pathlib
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger("tiles")


class TileCache:
    """Tiles stay at hand once they were asked for."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.tiles: dict[int, object] = {}

    def write(self, number: int) -> None:
        (self.folder / f"{number:04}.tile").write_bytes(bytes([number % 256]) * 512)

    def get(self, number: int) -> bytes:
        if number not in self.tiles:
            path = self.folder / f"{number:04}.tile"
            self.tiles[number] = path.open("rb")
        tile = self.tiles[number]
        tile.seek(0)
        return tile.read(16)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiles", type=int, default=50)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    folder = pathlib.Path("tiles")
    folder.mkdir(exist_ok=True)
    cache = TileCache(folder)
    for number in range(args.tiles):
        cache.write(number)
    log.info("%d tiles written", args.tiles)
    with ThreadPoolExecutor(4) as pool:
        for number, head in enumerate(pool.map(cache.get, range(args.tiles))):
            if number % 40 == 0:
                log.info("tile %d starts with %d", number, head[0])


if __name__ == "__main__":
    main()
