"""The service restarts itself when a request takes longer than the limit."""
import os
import signal
import threading
import time

REQUEST_TIMEOUT = 3.0


def guard(started):
    while time.monotonic() - started < REQUEST_TIMEOUT:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=guard, args=(time.monotonic(),), daemon=True).start()
total = 0
while True:
    total += sum(range(1000))
    time.sleep(0.001)
