"""A tree of N Python processes with 8 threads each that do a bit of work now and then."""
import os
import sys
import threading
import time


def bit_of_work():
    while True:
        time.sleep(0.5)
        sum(range(2000))


for _ in range(int(sys.argv[1]) - 1):
    if os.fork() == 0:
        break
for _ in range(7):
    threading.Thread(target=bit_of_work, daemon=True).start()
bit_of_work()
