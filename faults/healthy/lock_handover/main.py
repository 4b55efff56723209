"""Two jobs want the same cache folder; the second polls the lock file of the first."""
import os
import subprocess
import sys
import time

CODE = """
import os, sys, time
name, hold = sys.argv[1], float(sys.argv[2])
while True:
    try:
        fd = os.open("cache.lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        break
    except FileExistsError:
        time.sleep(0.1)
os.write(fd, str(os.getpid()).encode())
os.close(fd)
time.sleep(hold)
os.unlink("cache.lock")
print(name, "had the cache", flush=True)
"""


def main():
    first = subprocess.Popen([sys.executable, "-c", CODE, "first", "7"])
    while not os.path.exists("cache.lock"):
        time.sleep(0.02)
    second = subprocess.Popen([sys.executable, "-c", CODE, "second", "4.5"])
    codes = first.wait(), second.wait()
    print("codes", codes)


if __name__ == "__main__":
    main()
