"""`watch_loop` names the line that blocks a real event loop."""

import asyncio
import logging
import time
import unittest

import defib


def blocking_upload(until):
    while time.monotonic() < until:
        time.sleep(0.02)


class Watch(unittest.TestCase):
    def test_the_line_is_named_and_told_once(self):
        records = []
        handler = logging.Handler()
        handler.emit = lambda record: records.append(record.getMessage())
        log = logging.getLogger("defib")
        log.addHandler(handler)
        self.addCleanup(log.removeHandler, handler)

        async def program():
            watch = defib.watch_loop(threshold=0.1)
            await asyncio.sleep(0.3)
            self.assertEqual(watch.blocked, [])
            blocking_upload(time.monotonic() + 0.8)
            deadline = time.monotonic() + 10
            while not any("was blocked" in record for record in records) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            watch.stop()
            return watch.blocked

        blocked = asyncio.run(program())
        self.assertEqual([one.function for one in blocked], ["blocking_upload"])
        self.assertTrue(blocked[0].file.endswith("test_watch.py"))
        self.assertGreater(blocked[0].longest_s, 0.4)
        first = [record for record in records if "has not answered" in record]
        self.assertEqual(len(first), 1, records)
        self.assertIn("test_watch.py", first[0])

    def test_bad_input_says_what_is_accepted(self):
        with self.assertRaises(ValueError):
            defib.watch_loop(threshold=0)
        with self.assertRaises(RuntimeError):
            defib.watch_loop()


if __name__ == "__main__":
    unittest.main()
