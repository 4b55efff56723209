"""Lets an encoder make frames and checks them as fast as a slow disk would take them."""
import collections
import subprocess
import sys
import threading
import time


def keep_tail(stream, tail):
    for line in stream:
        tail.append(line)


def main(frames=1600):
    tail = collections.deque(maxlen=5)
    encoder = subprocess.Popen([sys.executable, "encoder.py", str(frames)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    logs = threading.Thread(target=keep_tail, args=(encoder.stderr, tail))
    logs.start()
    count = 0
    while chunk := encoder.stdout.read(1024):
        count += chunk[:4] == chunk[-4:]
        if count % 8 == 0:
            time.sleep(0.042)
    logs.join()
    print(count, "frames,", "status", encoder.wait(), tail[-1].decode().split()[0])


if __name__ == "__main__":
    main()
