import ctypes
import pathlib
import subprocess
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
F32P = np.ctypeslib.ndpointer(np.float32, flags="C")


def load_kernels():
    out = pathlib.Path(tempfile.mkdtemp(dir=".")) / "libwarp.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", out, HERE / "warp.c", "-lpthread"], check=True)
    lib = ctypes.CDLL(str(out))
    lib.warp_image.argtypes = [F32P, F32P, ctypes.c_int, ctypes.c_int]
    lib.warp_image.restype = ctypes.c_int
    return lib


def augment(lib, image):
    out = np.empty_like(image)
    h, w = image.shape
    rows = lib.warp_image(image, out, w, h)
    return out[:rows]


def main():
    lib = load_kernels()
    rng = np.random.default_rng(0)
    sizes = [(240, 320), (480, 640), (360, 480), (375, 500), (240, 320)]
    for i, (h, w) in enumerate(sizes):
        image = augment(lib, rng.random((h, w), dtype=np.float32))
        print(f"image {i}: {w}x{h} mean {image.mean():.3f}", flush=True)


if __name__ == "__main__":
    main()
