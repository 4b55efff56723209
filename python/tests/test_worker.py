"""The worker host: a real process, asked over its control descriptor."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOON_S = 20

PREDICTOR = '''
import math, pathlib, time
import defib
from cog import BasePredictor, Input, Path

class Predictor(BasePredictor):
    def setup(self):
        print("loading")
        defib.stage("loading weights")
        self.calls = 0

    def predict(self, prompt: str = Input(description="what to draw"),
                steps: int = Input(default=4, ge=1, le=10), image: Path = None) -> dict:
        self.calls += 1
        print("predicting", prompt)
        if prompt == "stand":
            time.sleep(600)
        if prompt == "nan":
            return {"score": math.nan}
        if prompt == "broken":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if prompt == "file":
            out = pathlib.Path("picture.txt")
            out.write_text("drawn")
            return out
        for step in range(steps):
            defib.progress(step + 1, steps)
        return {"calls": self.calls, "steps": steps, "bytes": None if image is None else image.stat().st_size}
'''


class Host:
    """What the program does: starts a worker and talks with it."""

    def __init__(self, folder):
        ours, theirs = socket.socketpair()
        self.control = ours
        self.lines = ours.makefile("rb")
        environment = dict(os.environ, PYTHONPATH=ROOT, DEFIB_CONTROL=str(theirs.fileno()))
        self.output = os.path.join(folder, "stdout")
        with open(self.output, "w") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "defib.worker"],
                cwd=folder, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=stdout,
            )
        theirs.close()

    def say(self, **message):
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, *kinds):
        """The next message of one of these kinds, and what came before it."""
        others = []
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            self.control.settimeout(max(0.01, deadline - time.monotonic()))
            message = json.loads(self.lines.readline())
            if message["is"] in kinds:
                return message, others
            others.append(message)
        raise AssertionError("none of {} came within {} s".format(kinds, SOON_S))

    def end(self):
        self.lines.close()
        self.control.close()
        self.process.kill()
        self.process.wait()


class Worker(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, "out")
        os.mkdir(self.out)
        with open(os.path.join(self.folder, "predict.py"), "w") as file:
            file.write(PREDICTOR)
        self.host = Host(self.folder)
        self.addCleanup(self.host.end)

    def set_up(self, predictor="predict.py:Predictor"):
        hello, _ = self.host.hear("hello")
        self.assertEqual((hello["protocol"], hello["pid"]), (1, self.host.process.pid))
        self.host.say(do="setup", predictor=predictor, options={})
        return self.host.hear("ready", "setup-failed")

    def predict(self, job="j1", files=None, **inputs):
        self.host.say(do="predict", job=job, attempt=1, inputs=inputs, files=files or {}, out=self.out)
        return self.host.hear("done", "failed")

    def test_a_cog_predictor_runs_unchanged_and_stays_warm(self):
        ready, before = self.set_up()
        self.assertEqual(ready["is"], "ready", ready)
        self.assertIn({"is": "stage", "name": "loading weights"}, before)
        self.assertEqual(ready["inputs"]["prompt"]["required"], True)
        self.assertEqual((ready["inputs"]["steps"]["default"], ready["inputs"]["steps"]["le"]), (4, 10))
        done, before = self.predict(prompt="a cat")
        self.assertEqual((done["is"], done["job"], done["attempt"]), ("done", "j1", 1), done)
        self.assertEqual(done["values"], {"calls": 1, "steps": 4, "bytes": None})
        self.assertIn(4, [one.get("done") for one in before if one["is"] == "progress"])
        file = os.path.join(self.folder, "in.bin")
        with open(file, "wb") as out:
            out.write(b"12345")
        done, _ = self.predict("j2", files={"image": file}, prompt="a dog", steps=2)
        self.assertEqual(done["values"], {"calls": 2, "steps": 2, "bytes": 5})
        # What the predictor prints never mixes with control.
        with open(self.host.output) as stdout:
            self.assertEqual(stdout.read(), "loading\npredicting a cat\npredicting a dog\n")

    def test_bad_inputs_are_refused_before_predict_runs(self):
        self.set_up()
        for inputs, part in (({}, "prompt"), ({"prompt": "x", "steps": 99}, "steps"),
                             ({"prompt": "x", "steps": "many"}, "steps"), ({"prompt": "x", "colour": 1}, "colour")):
            failed, _ = self.predict(**inputs)
            self.assertEqual(failed["is"], "failed", failed)
            self.assertIn(part, failed["error"]["message"])
            self.assertFalse(failed["poisoned"])
        done, _ = self.predict(prompt="x")
        self.assertEqual(done["values"]["calls"], 1)

    def test_files_nan_and_a_lost_gpu_are_told(self):
        self.set_up()
        done, _ = self.predict(prompt="file")
        output = done["outputs"][0]
        with open(output["path"]) as kept:
            self.assertEqual(kept.read(), "drawn")
        self.assertTrue(output["path"].startswith(self.out))
        self.assertEqual(output["media_type"], "text/plain")
        done, _ = self.predict(prompt="nan")
        self.assertEqual(done["is"], "done", done)
        self.assertTrue(done["nonfinite"], done)
        failed, _ = self.predict(prompt="broken")
        self.assertEqual((failed["is"], failed["poisoned"]), ("failed", True))
        self.assertIn("predict.py", failed["error"]["traceback"])

    def test_it_beats_while_it_works_and_ends_at_once_when_the_host_is_gone(self):
        self.set_up()
        self.host.say(do="predict", job="j1", attempt=1, inputs={"prompt": "stand"}, files={}, out=self.out)
        beats = [self.host.hear("heartbeat")[0] for _ in range(2)]
        self.assertEqual(len(beats), 2)
        # Ctrl+C is the host's to decide about.
        self.host.process.send_signal(signal.SIGINT)
        self.host.hear("heartbeat")
        self.host.lines.close()
        self.host.control.close()
        self.assertEqual(self.host.process.wait(SOON_S), 0)

    def test_what_cannot_be_set_up_says_why(self):
        failed, _ = self.set_up("predict.py:Nobody")
        self.assertEqual(failed["is"], "setup-failed")
        self.assertIn("no class Nobody", failed["error"]["message"])
        failed, _ = self.predict(prompt="x")
        self.assertIn("before a setup", failed["error"]["message"])
        self.host.say(do="shutdown")
        self.assertEqual(self.host.process.wait(SOON_S), 0)

    def test_without_a_host_it_says_who_starts_it(self):
        environment = dict(os.environ, PYTHONPATH=ROOT)
        environment.pop("DEFIB_CONTROL", None)
        alone = subprocess.run(
            [sys.executable, "-m", "defib.worker"], env=environment, stderr=subprocess.PIPE, timeout=SOON_S
        )
        self.assertEqual(alone.returncode, 2)
        self.assertIn(b"started by defib", alone.stderr)


if __name__ == "__main__":
    unittest.main()
