"""N Python processes of 8 threads that do a bit of work now and then: work.py N print|silent."""
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
else:
    if sys.argv[2] == "print":
        threading.Thread(target=lambda: [print("working", flush=True) or time.sleep(1) for _ in range(600)], daemon=True).start()
for _ in range(7):
    threading.Thread(target=bit_of_work, daemon=True).start()
bit_of_work()
