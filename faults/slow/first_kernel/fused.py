import ctypes
import os
import subprocess
import tempfile


def generate(taps, rows):
    """Every row of the filter becomes straight code, which the compiler can arrange as it likes."""
    lines = ["double filter(const double *in, double *out) {", "double s = 0;"]
    for row in range(rows):
        terms = " + ".join(f"in[{(row * 3 + tap) % 64}] * {0.1 + (row * taps + tap) % 97 / 97:.6f}" for tap in range(taps))
        lines.append(f"out[{row % 64}] = {terms}; s += out[{row % 64}] > {row}.0 ? out[{(row + 1) % 64}] : s * in[{row % 64}];")
    return "\n".join(lines + ["return s;", "}"])


class FusedFilter:
    def __init__(self, taps=24, rows=4200):
        library = os.path.join(os.environ["KERNEL_CACHE"], f"filter-{taps}-{rows}.so")
        if not os.path.exists(library):
            self.build(library, generate(taps, rows))
        self.filter = ctypes.CDLL(library).filter
        self.filter.restype = ctypes.c_double

    @staticmethod
    def build(library, code):
        with tempfile.NamedTemporaryFile("w", suffix=".c", dir=os.path.dirname(library)) as file:
            file.write(code)
            file.flush()
            subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library + ".part", file.name], check=True)
        os.replace(library + ".part", library)

    def __call__(self, values):
        given = (ctypes.c_double * 64)(*values)
        result = (ctypes.c_double * 64)()
        self.filter(given, result)
        return list(result)
