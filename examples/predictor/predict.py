"""A stand-in for an image model that needs nothing but Python, with faults to try.

    defib submit prompt="a cat"
    defib submit prompt="a cat" fault=deadlock
"""

import hashlib
import pathlib
import struct
import tempfile
import threading
import time
import zlib

import defib


class Predictor:
    def setup(self):
        # A real one loads its weights here, once for each process.
        self.lock = threading.Lock()
        self.folder = tempfile.TemporaryDirectory()

    def predict(self, prompt: str, steps: int = 10, width: int = 256, height: int = 192, fault: str = "") -> pathlib.Path:
        seed = hashlib.sha256(prompt.encode()).digest()
        for step in range(steps):
            time.sleep(0.05)
            defib.progress(step + 1, steps)
            if fault == "deadlock" and step == 3:
                self.lock.acquire()
                self.lock.acquire()
            if fault == "hang" and step == 3:
                time.sleep(10_000)
            if fault == "crash" and step == 3:
                __import__("ctypes").string_at(0)
        if fault == "out-of-memory" and width * height > 128 * 96:
            raise RuntimeError("CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 7.79 GiB of which 3.06 MiB is free.")
        colour = (lambda x, y: (0, 0, 0)) if fault == "black" else (lambda x, y: paint(seed, x / width, y / height))
        picture = pathlib.Path(self.folder.name, "picture.png")
        picture.write_bytes(png(width, height, colour))
        return picture


def paint(seed, x, y):
    """A colour for each point, another picture for each prompt."""
    return tuple(int(255 * abs((seed[i] * x + seed[i + 3] * y + seed[i + 6] * x * y) / 255 % 2 - 1)) for i in range(3))


def png(width, height, colour):
    rows = b"".join(b"\0" + bytes(part for x in range(width) for part in colour(x, y)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
