"""Turns a chain of elementwise operators into native code on first use."""
import ctypes
import hashlib
import os
import subprocess

import numpy as np

CACHE = os.environ.get("FUSE_CACHE", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".fuse"))
FORMS = ["v = v * {a}f + {b}f;", "v = v > {a}f ? v * {b}f : v - {a}f;", "v = v / (1.f + fabsf(v)) + {b}f;",
         "v = sqrtf(fabsf(v) + {a}f);", "t = v * v; v = t * {a}f - v * {b}f;"]


def random_ops(rng, n):
    return [FORMS[k].format(a=f"{a:.5f}", b=f"{b:.5f}") for k, (a, b) in zip(rng.integers(0, 5, n), rng.random((n, 2)) + 0.1)]


class Graph:
    def __init__(self, name, ops):
        self.name, self.ops = name, ops

    def source(self):
        parts = ["#include <math.h>"]
        size = 600
        groups = [self.ops[i:i + size] for i in range(0, len(self.ops), size)]
        for g, ops in enumerate(groups):
            parts.append(f"void k{g}(const float *x, float *y, int n) {{ for (int i = 0; i < n; i++) {{ float v = x[i], t = 0;")
            parts += ops
            parts.append("y[i] = v + t * 0; } }")
        parts.append("void run(const float *x, float *y, int n) { k0(x, y, n);")
        parts += [f"k{g}(y, y, n);" for g in range(1, len(groups))]
        parts.append("}")
        return "\n".join(parts)

    def specialize(self, dtype):
        src = self.source()
        key = hashlib.sha256(src.encode()).hexdigest()[:16]
        so = os.path.join(CACHE, key + ".so")
        if not os.path.exists(so):
            os.makedirs(CACHE, exist_ok=True)
            c = os.path.join(CACHE, key + ".c")
            with open(c, "w") as f:
                f.write(src)
            subprocess.run(["cc", "-O3", "-march=native", "-ffast-math", "-funroll-all-loops", "-shared", "-fPIC", c, "-o", so + ".tmp", "-lm"], check=True)
            os.rename(so + ".tmp", so)
        lib = ctypes.CDLL(so)
        ptr = np.ctypeslib.ndpointer(dtype, flags="C")
        lib.run.argtypes = [ptr, ptr, ctypes.c_int]

        def call(x):
            y = np.empty_like(x)
            lib.run(x, y, x.size)
            return y

        return call
