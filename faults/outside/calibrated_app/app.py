"""Shows what the camera sees on a page, and counts people in it."""
import argparse
import json
import pathlib
import subprocess
import sys
import time

CALIBRATION = pathlib.Path("calibration.json")


class Preview:
    """The page, in a process of its own so that it stays smooth."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            [sys.executable, "page.py", str(port)], start_new_session=True, stdin=subprocess.DEVNULL
        )

    def check(self):
        status = self.process.poll()
        if status is not None:
            raise SystemExit(f"the page ended with status {status}")


def calibrate(frames):
    time.sleep(1.6)
    CALIBRATION.write_text(json.dumps({"frames": frames, "focal": 1.31}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--frames", type=int, default=80)
    args = parser.parse_args()
    preview = Preview(args.port)
    if not CALIBRATION.exists():
        calibrate(args.frames)
        print("calibrated, needs a new start", flush=True)
        return 3
    focal = json.loads(CALIBRATION.read_text())["focal"]
    for frame in range(args.frames):
        time.sleep(0.05)
        preview.check()
    print(f"{args.frames} frames with focal length {focal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
