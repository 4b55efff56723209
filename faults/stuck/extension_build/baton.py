"""Lets several processes share one build: the first one builds, the others wait for it."""
import os
import time


class FileBaton:
    def __init__(self, path, wait_seconds=0.1):
        self.path = path
        self.wait_seconds = wait_seconds
        self.descriptor = None

    def try_acquire(self):
        try:
            self.descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL)
            return True
        except FileExistsError:
            return False

    def wait(self):
        while os.path.exists(self.path):
            time.sleep(self.wait_seconds)

    def release(self):
        if self.descriptor is not None:
            os.close(self.descriptor)
        os.remove(self.path)
