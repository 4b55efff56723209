import subprocess
import sys
from pathlib import Path


def build():
    exe = Path("bin/sweep")
    exe.parent.mkdir(exist_ok=True)
    subprocess.run(["cc", "-O2", "-o", exe, "sweep.c", "-lm"], check=True)
    return exe


if __name__ == "__main__":
    sys.exit(subprocess.call([build(), "--layers", "900"]))
