"""Samples that are kept decoded between epochs."""
import mmap
import os
import pathlib


class SampleCache:
    def __init__(self, folder: str = "/dev/shm") -> None:
        self.folder = pathlib.Path(folder) / f"samples-{os.getpid()}"
        self.folder.mkdir()
        self.kept = 0

    def fill(self, samples: int, size: int) -> None:
        for number in range(samples):
            path = self.folder / f"{number:04}"
            try:
                path.write_bytes(bytes([number % 256]) * size)
            except OSError:
                path.unlink(missing_ok=True)
                break
            self.kept += 1

    def clear(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def __len__(self) -> int:
        return self.kept


PAGE = mmap.PAGESIZE
