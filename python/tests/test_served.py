"""The client and the real server: `DEFIB` names the program."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import defib
from tests.support import SOON_S

PROGRAM = os.environ.get("DEFIB") or shutil.which("defib")
CONFIG = """
[server]
listen = "127.0.0.1:0"
token_file = "token"
[[backend]]
name = "local"
kind = "worker"
predictor = "predict.py:Predictor"
predict_timeout = "2s"
"""
PREDICTOR = '''
import pathlib, time
import defib
class Predictor:
    def predict(self, what: str = "echo", text: str = "", image: pathlib.Path = None):
        if what == "hang":
            time.sleep(1000)
        if what == "count":
            for step in range(10):
                defib.progress(step + 1, 10)
                time.sleep(0.1)
        if what == "file":
            path = pathlib.Path("out.txt")
            path.write_text(image.read_text().upper())
            return path
        return text
'''


@unittest.skipUnless(PROGRAM and os.path.exists(PROGRAM), "the program is not built: DEFIB does not name it")
class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        for name, text in (("defib.toml", CONFIG), ("predict.py", PREDICTOR), ("token", "secret\n")):
            pathlib.Path(cls.folder.name, name).write_text(text)
        state = os.path.join(cls.folder.name, "state")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DEFIB")}
        cls.server = subprocess.Popen(
            [PROGRAM, "serve", "--quiet"], cwd=cls.folder.name, env=dict(environment, DEFIB_STATE=state)
        )
        cls.addClassCleanup(cls.end)
        until = time.monotonic() + SOON_S
        while True:
            try:
                url = json.loads(pathlib.Path(state, "server.json").read_text())["url"]
                break
            except (OSError, ValueError):
                if time.monotonic() > until or cls.server.poll() is not None:
                    raise
                time.sleep(0.02)
        cls.url = url
        cls.client = defib.Client(url, token="secret")

    @classmethod
    def end(cls):
        cls.server.terminate()
        if cls.server.wait(SOON_S) != 0:
            raise AssertionError("the server ended with {}".format(cls.server.returncode))

    def test_a_value_and_a_file(self):
        job = self.client.submit({"text": "hello"}).wait(SOON_S)
        self.assertEqual((job.state, job.values), ("succeeded", {"output": "hello"}))
        given = pathlib.Path(self.folder.name, "given.txt")
        given.write_text("words")
        job = self.client.submit({"what": "file"}, files={"image": str(given)}).wait(SOON_S)
        with tempfile.TemporaryDirectory() as folder:
            (saved,) = job.save(folder)
            self.assertEqual(pathlib.Path(saved).read_text(), "WORDS")

    def test_what_happens_is_told_in_order(self):
        job = self.client.submit({"what": "count"})
        kinds = [event.kind for event in job.events()]
        self.assertEqual([kind for kind in kinds if kind != "progress"], ["accepted", "claimed", "succeeded"])
        self.assertIn("progress", kinds)

    def test_a_failure_has_its_cause(self):
        job = self.client.submit({"what": "hang"}, max_attempts=1)
        with self.assertRaises(defib.JobFailed) as failed:
            job.wait(SOON_S)
        self.assertEqual(failed.exception.report["outcome"]["kind"], "timed-out")
        with self.assertRaises(defib.JobFailed) as failed:
            self.client.submit({"colour": "red"}).wait(SOON_S)
        self.assertEqual(failed.exception.cause, "request-rejected")

    def test_cancelled_from_another_thread(self):
        job = self.client.submit({"what": "hang"})
        threading.Timer(0.5, job.cancel).start()
        job.wait(SOON_S, check=False)
        self.assertEqual(job.state, "cancelled")

    def test_the_same_key_is_the_same_job_and_a_token_is_asked_for(self):
        first = self.client.submit({"text": "a"}, idempotency_key="k1")
        self.assertEqual(self.client.submit({"text": "a"}, idempotency_key="k1").id, first.id)
        self.assertIn(first.id, [job.id for job in self.client.jobs()])
        with self.assertRaises(defib.ServerError) as refused:
            defib.Client(self.url, token="wrong").submit({"text": "a"})
        self.assertEqual(refused.exception.status, 401)


if __name__ == "__main__":
    unittest.main()
