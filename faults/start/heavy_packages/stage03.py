import time

_start = time.perf_counter()
TABLE = {}
while time.perf_counter() - _start < 0.9:
    TABLE[len(TABLE) % 1000] = len(TABLE)
