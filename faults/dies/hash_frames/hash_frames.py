"""Hashes frames to find those that repeat: cheap for thumbnails, fast for full frames."""
import ctypes
import random
import sys
import time


class Hasher:
    def __init__(self, path: str) -> None:
        self.library = ctypes.CDLL(path)
        for name in ("mix", "plain"):
            function = getattr(self.library, name)
            function.restype = ctypes.c_uint32
            function.argtypes = [ctypes.c_char_p, ctypes.c_int]

    def __call__(self, frame: bytes) -> int:
        if len(frame) < 4096:
            return self.library.plain(frame, len(frame))
        return self.library.mix(frame, len(frame))


def frames(count: int):
    rng = random.Random(9)
    for number in range(count):
        yield number, rng.randbytes(1024 if number < 8 else 65536)


def main(count: int) -> None:
    hasher = Hasher("./libmix.so")
    seen: dict[int, int] = {}
    for number, frame in frames(count):
        code = hasher(frame)
        print(f"frame {number:3} {len(frame):6} bytes {code:08x}", flush=True)
        if code in seen:
            print(f"  same as {seen[code]}")
        seen[code] = number
        time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]))
