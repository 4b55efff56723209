"""The examples that use this package do what they say."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from tests.support import ROOT, SOON_S, Host

APP = os.path.join(os.path.dirname(ROOT), "examples", "ocr_app")
sys.path.insert(0, APP)

import pages  # noqa: E402


class OcrApp(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_threads_go_on_after_their_time_and_processes_do_not(self):
        measured = subprocess.run(
            [sys.executable, "-B", os.path.join(APP, "measure.py"), "--pages", "3", "--ruled", "1", "--after", "1", "--json"],
            stdout=subprocess.PIPE, timeout=SOON_S * 6, check=True,
        )
        # The version with a server is there where the program is.
        threads, processes, *served = json.loads(measured.stdout.decode())
        self.assertEqual((threads["program"], processes["program"]), ("threads.py", "worker_app.py"))
        self.assertEqual((threads["busy"], processes["busy"]), (1, 0))
        self.assertEqual((threads["ends"], processes["ends"]), (False, True))
        for row in served:
            self.assertEqual((row["program"], row["busy"], row["ends"]), ("served_app.py", 0, True))
        for row in (threads, processes, *served):
            self.assertGreaterEqual(row["answers"], 1, row)
            self.assertLessEqual(row["answers"], 2, row)

    def test_the_detector_is_a_predictor(self):
        page, ruled = pages.make_pages(self.folder, 2, ruled={1})
        host = Host(self.folder)
        self.addCleanup(host.end)
        host.say(do="setup", predictor=os.path.join(APP, "predict.py") + ":Detector", options={})
        ready, _ = host.hear("ready", "setup-failed")
        self.assertEqual(ready.get("inputs"), {"page": {"type": "path", "required": True}}, ready)
        host.say(do="predict", job="j1", attempt=1, inputs={}, files={"page": page}, out=self.folder)
        done, _ = host.hear("done", "failed")
        self.assertEqual(done["is"], "done", done)
        self.assertEqual(done["values"]["words"], len(done["values"]["polygons"]))
        self.assertGreater(done["values"]["words"], 85)
        (overlay,) = done["outputs"]
        self.assertEqual(os.path.getsize(overlay["path"]), 3 * pages.WIDTH * pages.HEIGHT)
        # It never comes back from this one, and ends all the same.
        host.say(do="predict", job="j2", attempt=1, inputs={}, files={"page": ruled}, out=self.folder)
        for _ in range(3):
            self.assertEqual(host.hear("heartbeat", "done", "failed")[0]["is"], "heartbeat")
        host.hang_up()
        self.assertEqual(host.process.wait(SOON_S), 0)


if __name__ == "__main__":
    unittest.main()
