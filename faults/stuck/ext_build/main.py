import ctypes
import subprocess
from pathlib import Path

import numpy as np

from baton import FileBaton

CACHE = Path(__file__).parent / "cache"
SOURCE = "void scale(float *x, int n, float k) { for (int i = 0; i < n; i++) x[i] *= k; }\n"


def load(name, source):
    lib = CACHE / f"{name}.so"
    baton = FileBaton(CACHE / "lock")
    while not lib.exists():
        if baton.try_acquire():
            try:
                c = CACHE / f"{name}.c"
                c.write_text(source)
                subprocess.run(["cc", "-O2", "-shared", "-fPIC", c, "-o", lib], check=True)
            finally:
                baton.release()
        else:
            baton.wait()
    return ctypes.CDLL(str(lib))


def main():
    print("loading extension scale", flush=True)
    lib = load("scale", SOURCE)
    x = np.ones(16, np.float32)
    lib.scale(x.ctypes.data_as(ctypes.c_void_p), 16, ctypes.c_float(0.5))
    print(x.sum())


if __name__ == "__main__":
    main()
