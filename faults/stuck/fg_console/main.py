"""Run the training launcher on a pseudo terminal of its own, so that it keeps its colours, and log what it prints."""
import os
import pty
import sys


def main():
    log = open("launch.log", "wb")

    def read(fd):
        data = os.read(fd, 4096)
        log.write(data)
        log.flush()
        return data

    status = pty.spawn([sys.executable, "launch.py"], read)
    print("launcher ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
