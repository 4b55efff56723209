"""Sharpens a picture with a kernel that is compiled for this machine at the first start."""
import ctypes
import pathlib
import subprocess

CACHE = pathlib.Path("kernels")


def code(rows):
    body = ["double sharpen(const double *in, double *out) {", "double s = 0;"]
    for row in range(rows):
        terms = " + ".join(f"in[{(row * 5 + tap) % 64}] * {0.2 + (row * 7 + tap) % 89 / 89:.5f}" for tap in range(20))
        body.append(f"out[{row % 64}] = {terms}; s += out[{row % 64}] > {row}.0 ? out[{(row + 1) % 64}] : s * in[{row % 64}];")
    return "\n".join(body + ["return s;", "}"])


class Sharpen:
    def __init__(self, rows=1450):
        library = CACHE / f"sharpen-{rows}.so"
        if not library.exists():
            CACHE.mkdir(exist_ok=True)
            source = library.with_suffix(".c")
            source.write_text(code(rows))
            subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self.kernel = ctypes.CDLL(str(library.resolve())).sharpen
        self.kernel.restype = ctypes.c_double

    def __call__(self, row):
        given, result = (ctypes.c_double * 64)(*row), (ctypes.c_double * 64)()
        self.kernel(given, result)
        return list(result)


if __name__ == "__main__":
    sharpen = Sharpen()
    rows = [sharpen([(row * k) % 13 / 13 for k in range(64)]) for row in range(64)]
    print(len(rows), "rows sharpened")
