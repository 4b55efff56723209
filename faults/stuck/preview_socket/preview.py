"""Shows the previews of a job and saves the last one."""
import logging
import queue
import subprocess
import sys
import zlib

from frames import FrameReader

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("preview")


class Viewer:
    def __init__(self, frames):
        self.frames = frames
        self.pictures = queue.Queue()

    def deliver(self, opcode, payload):
        number, _, pixels = payload.partition(b":")
        self.pictures.put((int(number), zlib.crc32(pixels)))

    def show(self):
        for _ in range(self.frames):
            number, checksum = self.pictures.get()
            log.info("step %d preview %08x", number, checksum)


def main():
    backend = subprocess.Popen([sys.executable, "backend.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    viewer = Viewer(frames=20)
    reader = FrameReader(int(backend.stdout.readline()), viewer.deliver)
    reader.start()
    viewer.show()
    backend.stdin.close()
    reader.join()


if __name__ == "__main__":
    main()
