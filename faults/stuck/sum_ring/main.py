"""Four ranks on one host, gradients summed around a ring of sockets."""
import os
import subprocess
import sys
import tempfile

WORLD = 4


def main():
    rendezvous = tempfile.mkdtemp(dir=".")
    procs = []
    for rank in range(WORLD):
        env = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(WORLD), RDZV=rendezvous)
        procs.append(subprocess.Popen([sys.executable, "finetune.py"], env=env))
    sys.exit(max(p.wait() for p in procs))


if __name__ == "__main__":
    main()
