"""Submit a job to the local runner and poll its state file until it is through."""
import json
import pathlib
import subprocess
import sys
import time

STATE = pathlib.Path("job.json")


def state():
    try:
        return json.loads(STATE.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {"status": "queued"}


def main():
    runner = subprocess.Popen([sys.executable, "runner.py", str(STATE)], stdout=subprocess.DEVNULL)
    while (s := state())["status"] in ("queued", "running"):
        time.sleep(0.5)
    print("job", s["status"], s["result"])
    return runner.wait()


if __name__ == "__main__":
    sys.exit(main())
