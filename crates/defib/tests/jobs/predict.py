"""What the tests ask a predictor to do. `what` names it, `mark` is a file that tells one try from the next."""

import ctypes
import math
import os
import pathlib
import struct
import sys
import threading
import time
import zlib

import defib


def png(width, height, colour):
    row = b"\0" + bytes(colour) * width
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * height)),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def picture(width, height):
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 5 % 256, y * 7 % 256, 90)) for x in range(width)) for y in range(height)
    )
    start = png(width, height, (0, 0, 0))
    ihdr = start[:33]
    data = zlib.compress(rows)
    idat = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    iend = start[-12:]
    return ihdr + idat + iend


class Predictor:
    def setup(self, dtype="float16", broken="", slow=0.0):
        if broken == "import":
            import no_such_module_of_anybody  # noqa: F401
        if broken == "hang":
            time.sleep(600)
        time.sleep(slow)
        self.dtype = dtype
        self.calls = 0
        self.kept = []

    def predict(
        self,
        what: str = "echo",
        text: str = "",
        seconds: float = 0.0,
        steps: int = 10,
        width: int = 64,
        height: int = 48,
        mark: str = "",
        model: str = "base",
        image: pathlib.Path = None,
    ):
        self.calls += 1
        first = bool(mark) and not os.path.exists(mark)
        if mark:
            pathlib.Path(mark).touch()
        if what == "echo":
            return text
        if what == "who":
            return {"pid": os.getpid(), "calls": self.calls, "dtype": self.dtype, "steps": steps}
        if what == "size":
            return {"bytes": image.stat().st_size, "name": image.name}
        if what == "picture":
            pathlib.Path("out.png").write_bytes(picture(width, height))
            return pathlib.Path("out.png")
        if what == "black":
            pathlib.Path("out.png").write_bytes(png(width, height, (0, 0, 0)))
            return pathlib.Path("out.png")
        if what == "filtered":
            print("Potential NSFW content was detected in one or more images. A black image will be returned instead.")
            pathlib.Path("out.png").write_bytes(png(width, height, (0, 0, 0)))
            return pathlib.Path("out.png")
        if what == "nan":
            return {"score": math.nan if self.dtype == "float16" else 0.5}
        if what == "work":
            for step in range(steps):
                time.sleep(seconds / steps)
                defib.progress(step + 1, steps)
            return {"steps": steps}
        if what == "nap":
            time.sleep(seconds)
            return "woke"
        if what == "hang" or (what == "hang-once" and first):
            while True:
                time.sleep(1000)
        if what == "deadlock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        if what == "loop":
            while True:
                pass
        if what == "gil":
            # Native code that never lets go of the interpreter.
            ctypes.PyDLL(None).sleep(1000)
        if what == "exit" or (what == "exit-once" and first):
            os._exit(3)
        if what == "crash":
            ctypes.string_at(0)
        if what == "raise":
            raise KeyError(text or "no such thing")
        if what == "oom" and (steps > 5 or width > 512):
            raise RuntimeError(
                "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 7.79 GiB of which "
                "3.06 MiB is free. Including non-PyTorch memory, this process has 7.78 GiB memory in use."
            )
        if what == "config":
            sys.stderr.write("omegaconf.errors.MissingMandatoryValue: Missing mandatory value: model.path\n")
            raise SystemExit(1)
        if what == "surrogate":
            return ["caf\udce9", "\U0001f600"]
        if what == "number":
            return {"n": 10**400}
        if what == "huge":
            return "x" * (70 << 20)
        if what == "leak":
            self.kept.append(bytearray(b"x" * (40 << 20)))
            return len(self.kept)
        return "did {}".format(what)
