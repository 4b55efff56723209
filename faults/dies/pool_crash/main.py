import ctypes
from concurrent.futures import ProcessPoolExecutor


def decode(number):
    if number == 3:
        ctypes.string_at(8)
    return number


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(decode, range(6))))
