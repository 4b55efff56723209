import ctypes
import os
import subprocess
import tempfile


def main():
    with tempfile.TemporaryDirectory() as d:
        so = os.path.join(d, "solver.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "solver.c", "-o", so, "-lm", "-lpthread"], check=True)
        lib = ctypes.PyDLL(so)
        lib.solve.restype = ctypes.c_double
        lib.solve.argtypes = [ctypes.c_int, ctypes.c_double]
        print("residual", lib.solve(2, 9.0) > 0)


if __name__ == "__main__":
    main()
