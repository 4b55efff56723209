"""Writers in several processes append to one store; the kernel's file lock says whose turn it is."""
import fcntl
import json
import os
import subprocess
import sys
import time


def append(path, name, seconds):
    with open(path, "a+") as store:
        fcntl.flock(store, fcntl.LOCK_EX)
        store.seek(0)
        known = len(store.readlines())
        time.sleep(seconds)
        store.write(json.dumps({"writer": name, "known": known}) + "\n")


def main():
    path = "store.jsonl"
    writers = [subprocess.Popen([sys.executable, __file__, path, f"writer{n}", str(seconds)]) for n, seconds in enumerate((3.5, 4.0, 1.5))]
    codes = [writer.wait() for writer in writers]
    with open(path) as store:
        print(len(store.readlines()), "lines", codes)
    os.unlink(path)
    return max(codes)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        append(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    else:
        sys.exit(main())
