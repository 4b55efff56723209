"""Compiles one kernel for each shape on first use and keeps the library in a cache folder."""
import ctypes
import hashlib
import pathlib
import subprocess

CACHE = pathlib.Path(__file__).resolve().parent / ".kernels"
TEMPLATE = """
#include <math.h>
{body}
float kernel(const float *a, const float *b, int count)
{{
    float total = 0;
    for (int i = 0; i < count; i++)
        total += {call};
    return total;
}}
"""


def source(rows, columns):
    stages = [
        f"static inline float stage{k}(float x, float y) {{ return expf(-x * {k + rows}.0f / {columns}.0f) + y * sinf(x * {k + 1}.0f); }}"
        for k in range(40)
    ]
    call = "0.0f"
    for k in range(40):
        call = f"stage{k}(a[i], {call})"
    return TEMPLATE.format(body="\n".join(stages), call=call)


def compile_kernel(rows, columns):
    code = source(rows, columns)
    name = hashlib.sha1(code.encode()).hexdigest()[:20]
    library = CACHE / f"{name}.so"
    if not library.exists():
        CACHE.mkdir(exist_ok=True)
        file = CACHE / f"{name}.c"
        file.write_text(code)
        subprocess.run(
            ["cc", "-O3", "-ffast-math", "-funroll-loops", "-shared", "-fPIC", "-o", str(library), str(file), "-lm"],
            check=True,
        )
    kernel = ctypes.CDLL(str(library)).kernel
    kernel.restype = ctypes.c_float
    return kernel
