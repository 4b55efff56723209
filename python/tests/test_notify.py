"""What a program tells its supervisor, over a real socket."""

import os
import socket
import tempfile
import unittest

import defib


class Notify(unittest.TestCase):
    def listen(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "notify")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.settimeout(10)
        known = os.environ.get("NOTIFY_SOCKET")
        os.environ["NOTIFY_SOCKET"] = path
        self.addCleanup(lambda: os.environ.pop("NOTIFY_SOCKET", None))
        if known is not None:
            self.addCleanup(lambda: os.environ.__setitem__("NOTIFY_SOCKET", known))
        return listening

    def test_each_call_is_one_message(self):
        listening = self.listen()
        defib.ready()
        defib.stage("loading\nweights")
        defib.heartbeat()
        defib.progress(10, 10, "images")
        told = [listening.recv(4096).decode() for _ in range(4)]
        self.assertEqual(told, ["READY=1", "STATUS=loading weights", "WATCHDOG=1", "STATUS=10/10 images\nWATCHDOG=1"])

    def test_a_tight_loop_does_not_flood(self):
        listening = self.listen()
        for done in range(1, 5001):
            defib.progress(done, 5000)
        listening.setblocking(False)
        told = []
        while True:
            try:
                told.append(listening.recv(4096))
            except BlockingIOError:
                break
        self.assertLess(len(told), 500)
        self.assertIn(b"STATUS=5000/5000", told[-1])

    def test_without_a_supervisor_nothing_happens_and_nothing_is_raised(self):
        os.environ.pop("NOTIFY_SOCKET", None)
        for call in (defib.ready, defib.heartbeat, lambda: defib.stage("x"), lambda: defib.progress(1)):
            self.assertIsNone(call())
        os.environ["NOTIFY_SOCKET"] = "/nowhere/at/all"
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
        self.assertIsNone(defib.heartbeat())


if __name__ == "__main__":
    unittest.main()
