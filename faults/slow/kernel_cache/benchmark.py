import argparse
import ctypes
import time

from jit import compile_kernel


class Layer:
    def __init__(self, rows, columns):
        self.shape = rows, columns
        self.kernel = compile_kernel(rows, columns)

    def __call__(self, data):
        return self.kernel(data, data, len(data))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernels", type=int, default=4)
    options = parser.parse_args()
    print("preparing", options.kernels, "layers", flush=True)
    layers = [Layer(16 + number % 20, 32 + number // 20) for number in range(options.kernels)]
    data = (ctypes.c_float * 4096)(*(k / 4096 for k in range(4096)))
    started = time.monotonic()
    total = sum(layer(data) for layer in layers)
    print(f"forward pass {time.monotonic() - started:.3f} s, {total:.3f}")


if __name__ == "__main__":
    main()
