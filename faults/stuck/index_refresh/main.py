"""Nightly job: refresh the vector index and compact the blob store side by side."""
import pathlib
import subprocess
import sys

STORE = pathlib.Path("store")


def main():
    STORE.mkdir(exist_ok=True)
    for name in ("index.bin", "blobs.bin"):
        (STORE / name).write_bytes(bytes(4096))
    jobs = [subprocess.Popen([sys.executable, script, str(STORE)]) for script in ("refresh.py", "compact.py")]
    codes = [j.wait() for j in jobs]
    print("nightly job finished", codes)


if __name__ == "__main__":
    main()
