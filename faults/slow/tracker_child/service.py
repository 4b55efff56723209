"""Runs the tracker with the interpreter's own settings only, whatever the user's shell has set."""
import argparse
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--video", required=True)
    parser.add_argument("--frames", type=int, default=900)
    options = parser.parse_args()
    command = [sys.executable, "-E", "-s", "track.py", options.video, str(options.frames)]
    tracker = subprocess.Popen(command)
    code = tracker.wait()
    if code:
        sys.exit(f"the tracker ended with status {code}")


if __name__ == "__main__":
    main()
