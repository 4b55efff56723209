"""Compiles its kernels on the first run, then works on them."""
import ctypes
import pathlib
import subprocess
import tempfile
import time

import numpy as np


def source(n):
    body = "".join(f"v = v * {1 + i % 7 * 0.01:.3f}f + {i % 11 * 0.001:.3f}f; if (v > {i % 5 + 1}.f) v -= fabsf(v) * 0.3f;\n" for i in range(n))
    return f"#include <math.h>\nvoid run(float *x, int n) {{ for (int i = 0; i < n; i++) {{ float v = x[i];\n{body}x[i] = v; }} }}\n"


def kernel(n, cache):
    c, so = cache / f"k{n}.c", cache / f"k{n}.so"
    c.write_text(source(n))
    subprocess.run(["cc", "-O3", "-shared", "-fPIC", c, "-o", so, "-lm"], check=True)
    return ctypes.CDLL(str(so)).run


def main():
    t0 = time.time()
    x = np.linspace(0, 1, 1000, dtype=np.float32)
    with tempfile.TemporaryDirectory() as d:
        for n in (2400, 2600, 2800):
            kernel(n, pathlib.Path(d))(x.ctypes.data_as(ctypes.c_void_p), x.size)
    print("mean", bool(np.isfinite(x).all()), time.time() - t0 > 0)


if __name__ == "__main__":
    main()
