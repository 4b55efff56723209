"""Hands images to a helper through a spool folder and waits for its answers."""
import json
import pathlib
import subprocess
import sys
import tempfile
import time


class Spool:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.helper = subprocess.Popen([sys.executable, "helper.py", folder])

    def ask(self, name, **job):
        part = self.folder / f"{name}.tmp"
        part.write_text(json.dumps(job))
        part.rename(self.folder / f"{name}.in")
        answer = self.folder / f"{name}.out"
        while not answer.exists():
            time.sleep(0.05)
        return json.loads(answer.read_text())["size"]

    def close(self):
        (self.folder / "end").touch()
        return self.helper.wait()


with tempfile.TemporaryDirectory() as folder:
    spool = Spool(folder)
    sizes = [spool.ask(f"image{n}", size=[64, 48 + n], seconds=seconds) for n, seconds in enumerate((0.2, 6.5, 0.3))]
    print(sizes, spool.close())
