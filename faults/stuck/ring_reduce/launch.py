"""Starts one process per rank, as the distributed launchers do."""
import argparse
import os
import socket
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nproc", type=int, default=2)
    parser.add_argument("script")
    options = parser.parse_args()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(options.nproc)]
    ports = ",".join(str(listener.getsockname()[1]) for listener in listeners)
    processes = []
    for rank, listener in enumerate(listeners):
        environment = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(options.nproc), RING_PORTS=ports, RING_FD=str(listener.fileno()))
        processes.append(subprocess.Popen([sys.executable, options.script], env=environment, pass_fds=[listener.fileno()]))
        listener.close()
    sys.exit(max(process.wait() for process in processes))


if __name__ == "__main__":
    main()
