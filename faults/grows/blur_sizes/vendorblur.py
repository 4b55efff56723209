import ctypes
import os
import subprocess
import tempfile

import numpy as np


def _load():
    here = os.path.dirname(os.path.abspath(__file__))
    so = os.path.join(tempfile.mkdtemp(dir="."), "libvendor.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", os.path.join(here, "vendor.c"), "-o", so], check=True)
    lib = ctypes.CDLL(so)
    p = np.ctypeslib.ndpointer(np.float32, flags="C")
    lib.blur.argtypes = [p, p, ctypes.c_int, ctypes.c_int]
    return lib


_lib = _load()


def blur(image):
    out = np.empty_like(image)
    _lib.blur(image, out, *image.shape)
    return out
