"""Reads many cameras, a thread each, without the rights of the starter."""
import argparse
import logging
import os
import resource
import sys
import threading
import time
import traceback

log = logging.getLogger("readers")


class Reader(threading.Thread):
    def __init__(self, camera: int, stop: threading.Event) -> None:
        super().__init__(name=f"camera-{camera}")
        self.camera, self.stop = camera, stop
        self.frames = 0

    def run(self) -> None:
        while not self.stop.wait(0.04):
            self.frames += 1


def unprivileged(user: int, tasks: int) -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--cameras", type=int, default=4)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    unprivileged(args.user, args.tasks)
    stop = threading.Event()
    readers = [Reader(camera, stop) for camera in range(args.cameras)]
    try:
        for reader in readers:
            reader.start()
            if reader.camera % 10 == 0:
                log.info("%s reads", reader.name)
        time.sleep(1)
    except RuntimeError:
        traceback.print_exc()
        return 1
    finally:
        stop.set()
    print(sum(reader.frames for reader in readers), "frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
