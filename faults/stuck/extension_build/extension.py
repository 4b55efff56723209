import math
import os

from baton import FileBaton

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cache")


def build(folder):
    settings = dict(line.split(" = ") for line in open(os.path.join(folder, "upfirdn.cfg")).read().splitlines())
    taps = int(settings["taps"])
    with open(os.path.join(folder, "table.txt"), "w") as table:
        for tap in range(taps):
            table.write(f"{math.sin(tap) * float(settings['gain'])}\n")


def load(name):
    folder = os.path.join(ROOT, name)
    baton = FileBaton(os.path.join(folder, "lock"))
    if baton.try_acquire():
        try:
            build(folder)
        finally:
            baton.release()
    else:
        baton.wait()
    with open(os.path.join(folder, "table.txt")) as table:
        return [float(line) for line in table]
