"""Solves for a step size; the tolerance is below what floats can tell apart."""


def solve(target, tolerance=1e-18):
    low, high = 0.0, 2.0
    while high - low > tolerance:
        middle = (low + high) / 2
        if middle * middle < target:
            low = middle
        else:
            high = middle
    return low


print("solving", flush=True)
print(solve(2.0))
