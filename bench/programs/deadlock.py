"""N processes in a lock deadlock, the parent in wait: deadlock.py FOLDER N. Each writes when it stood still."""
import os
import sys
import threading
import time

folder, number = sys.argv[1], int(sys.argv[2])


def take(first, second, meet):
    with first:
        meet.wait()
        with open(f"{folder}/{os.getpid()}", "w") as file:
            file.write(repr(time.time()))
        with second:
            pass


def stand_still():
    one, two, meet = threading.Lock(), threading.Lock(), threading.Barrier(2)
    other = threading.Thread(target=take, args=(one, two, meet))
    other.start()
    take(two, one, meet)


for _ in range(number):
    if os.fork() == 0:
        stand_still()
os.wait()
