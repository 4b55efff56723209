import json
import pathlib
import subprocess
import sys
import time


class Helper:
    def __init__(self, folder, idle):
        self.folder = pathlib.Path(folder)
        self.process = subprocess.Popen([sys.executable, "helper.py", str(folder), "--idle", str(idle)])

    def request(self, name, **job):
        part = self.folder / f"{name}.tmp"
        part.write_text(json.dumps(job))
        part.rename(self.folder / f"{name}.in")
        answer = self.folder / f"{name}.out"
        while not answer.exists():
            time.sleep(0.05)
        return json.loads(answer.read_text())

    def close(self):
        self.process.terminate()
        self.process.wait()
