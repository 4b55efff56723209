"""Drives the external renderer and shows its progress events."""
import json
import subprocess
import sys


class Renderer:
    def __init__(self, scene, frames):
        self.argv = [sys.executable, "render_cli.py", "--scene", scene, "--frames", str(frames)]

    def __enter__(self):
        self.proc = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def events(self):
        for line in self.proc.stdout:
            if line.startswith("{"):
                yield json.loads(line)

    def __exit__(self, *exc):
        self.proc.wait()
        if self.proc.returncode:
            sys.stderr.write(self.proc.stderr.read())


def main():
    total = 0.0
    with Renderer("kitchen", 400) as r:
        for ev in r.events():
            total += ev["ms"]
            print(f"frame {ev['frame']:4d}  {ev['ms']:.1f} ms", flush=True)
    print(f"rendered in {total / 1000:.1f} s")


if __name__ == "__main__":
    main()
