import ctypes
import itertools
import pathlib
import subprocess
import time

import numpy as np

KERNEL = """
#include <string.h>
#define TM %(tm)d
#define TN %(tn)d
#define UK %(uk)d
void mm(const float *restrict a, const float *restrict b, float *restrict c, int m, int n, int k) {
  memset(c, 0, sizeof(float) * m * n);
  for (int i0 = 0; i0 < m; i0 += TM)
    for (int j0 = 0; j0 < n; j0 += TN) {
      int i1 = i0 + TM < m ? i0 + TM : m, j1 = j0 + TN < n ? j0 + TN : n;
      for (int i = i0; i < i1; i++)
        for (int p = 0; p < k; p++) {
          float s = a[i * k + p];
          #pragma GCC unroll %(uk)d
          for (int j = j0; j < j1; j++) c[i * n + j] += s * b[p * n + j];
        }
    }
}
"""


class Tuner:
    space = dict(tm=[4, 8, 16, 32], tn=[8, 16, 32, 64], uk=[8, 16, 32, 64], flags=["-O2", "-O3", "-Ofast"])

    def __init__(self, cache):
        self.cache = pathlib.Path(cache)
        self.cache.mkdir(exist_ok=True)

    def build(self, tm, tn, uk, flags):
        stem = self.cache / f"mm_{tm}_{tn}_{uk}{flags}"
        so = stem.with_suffix(".so")
        if not so.exists():
            stem.with_suffix(".c").write_text(KERNEL % dict(tm=tm, tn=tn, uk=uk))
            subprocess.run(["cc", flags, "-march=native", "-shared", "-fPIC", stem.with_suffix(".c"), "-o", so], check=True)
        fn = ctypes.CDLL(str(so.resolve())).mm

        def mm(a, b):
            c = np.empty((a.shape[0], b.shape[1]), np.float32)
            fn(*(x.ctypes.data_as(ctypes.c_void_p) for x in (a, b, c)), a.shape[0], b.shape[1], a.shape[1])
            return c

        return mm

    def best(self):
        a = np.ones((64, 64), np.float32)
        scored = []
        for values in itertools.product(*self.space.values()):
            mm = self.build(**dict(zip(self.space, values)))
            t0 = time.perf_counter()
            for _ in range(20):
                mm(a, a)
            scored.append((time.perf_counter() - t0, len(scored), mm))
        return min(scored)[2]
