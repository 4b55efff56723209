"""Service wrapper: starts the tracker and relays its output."""
import subprocess
import sys


def run_tracker(video):
    cmd = [sys.executable, "track.py", f"video.source={video}"]
    with subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        for line in p.stdout:
            print("[tracker]", line, end="", flush=True)
    return p.returncode


if __name__ == "__main__":
    sys.exit(run_tracker("street.mp4"))
