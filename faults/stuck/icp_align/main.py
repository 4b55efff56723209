"""Align every scan with the reference in a process of its own."""
import subprocess
import sys

SCANS = ["lobby", "garage", "roof"]


def main():
    for name in SCANS:
        out = subprocess.run([sys.executable, "align.py", name], check=True, stdout=subprocess.PIPE, text=True).stdout
        print(f"{name}: {out.strip()}", flush=True)


if __name__ == "__main__":
    main()
