"""Times a CPU-bound and a syscall-heavy loop beside nine idle children: speed.py FILE ROUNDS(scale)."""
import json
import os
import resource
import signal
import sys
import time


def spin(rounds):
    total = 0
    for number in range(rounds):
        total += number * number & 7
    return total


def call(rounds):
    fd = os.open("/dev/zero", os.O_RDONLY)
    for _ in range(rounds):
        os.pread(fd, 1, 0)


def timed(what, rounds):
    def used():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime
    wall, cpu = time.perf_counter(), used()
    what(rounds)
    return time.perf_counter() - wall, used() - cpu


idle = []
for _ in range(9):
    child = os.fork()
    if child == 0:
        signal.pause()
    idle.append(child)
scale = float(sys.argv[2])
spin(100_000)
found = {"cpu-bound": timed(spin, int(20_000_000 * scale)), "syscalls": timed(call, int(3_000_000 * scale))}
for child in idle:
    os.kill(child, signal.SIGKILL)
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
