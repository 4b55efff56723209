"""`isolated` through real processes: what runs over its time is really gone."""

import os
import subprocess
import sys
import threading
import time
import unittest

import defib

from tests.support import ROOT, SOON_S, lives, wait_for


@defib.isolated(timeout=SOON_S)
def whoami():
    return os.getpid()


@defib.isolated(timeout=SOON_S)
def echo(value):
    return value


@defib.isolated(timeout=SOON_S)
def fail(text):
    raise KeyError(text)


@defib.isolated(timeout=SOON_S)
def die(number):
    os.kill(os.getpid(), number)


@defib.isolated(timeout=1)
def stand(file):
    """Stands where no exception can reach it, and leaves a process of another session."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(file, "w") as told:
        told.write("{} {}\n".format(os.getpid(), child.pid))
    while True:
        time.sleep(600)


class Isolated(unittest.TestCase):
    def test_the_process_stays_warm_and_is_another_one(self):
        first = whoami()
        self.assertNotEqual(first, os.getpid())
        self.assertEqual(first, whoami())
        whoami.close()
        self.assertFalse(lives(first))
        self.assertNotEqual(first, whoami())

    def test_large_values_go_both_ways(self):
        value = os.urandom(1 << 20) * 64
        self.assertEqual(echo(value), value)

    def test_an_exception_comes_with_the_traceback_of_the_other_process(self):
        with self.assertRaises(KeyError) as raised:
            fail("missing")
        self.assertEqual(raised.exception.args, ("missing",))
        self.assertIn("in fail", str(raised.exception.__cause__))

    def test_a_process_that_dies_is_told_in_words_and_replaced(self):
        with self.assertRaises(defib.WorkerDied) as raised:
            die(11)
        self.assertEqual(raised.exception.signal, 11)
        self.assertIn("SIGSEGV", str(raised.exception))
        with self.assertRaises(defib.WorkerDied):
            die(9)

    def test_at_the_limit_everything_is_ended_and_the_stack_is_told(self):
        file = os.path.join(os.environ.get("TMPDIR", "/tmp"), "isolated-{}".format(os.getpid()))
        self.addCleanup(lambda: os.path.exists(file) and os.remove(file))
        begun = time.monotonic()
        with self.assertRaises(defib.Timeout) as raised:
            stand(file)
        self.assertLess(time.monotonic() - begun, 1 + SOON_S / 2)
        self.assertIsInstance(raised.exception, TimeoutError)
        self.assertIn("in stand", raised.exception.stack)
        with open(file) as told:
            pids = [int(word) for word in told.read().split()]
        wait_for(lambda: not any(lives(pid) for pid in pids))

    def test_calls_wait_for_a_free_process_within_their_time(self):
        values, threads = [], []
        for number in range(4):
            threads.append(threading.Thread(target=lambda number=number: values.append(echo(number))))
            threads[-1].start()
        for thread in threads:
            thread.join(SOON_S)
        self.assertEqual(sorted(values), [0, 1, 2, 3])

    def test_a_function_without_a_name_is_refused(self):
        with self.assertRaises(TypeError) as raised:
            defib.isolated(timeout=1)(lambda: 1)
        self.assertIn("importable name", str(raised.exception))
        for bad in (0, -1):
            with self.assertRaises(ValueError):
                defib.isolated(timeout=bad)(whoami)

    def test_awaited_it_does_not_block_the_loop(self):
        import asyncio

        async def both():
            return await asyncio.gather(echo.aio(1), echo.aio(2))

        self.assertEqual(asyncio.run(both()), [1, 2])


class Leaks(unittest.TestCase):
    """A program of its own, so that its end can be looked at."""

    PROGRAM = (
        "import os, sys, time\n"
        "import defib\n"
        "@defib.isolated(timeout=30)\n"
        "def whoami():\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    print(whoami(), flush=True)\n"
        "    sys.stdin.readline()\n"
    )

    def start(self):
        import tempfile

        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = os.path.join(folder.name, "program.py")
        with open(file, "w") as out:
            out.write(self.PROGRAM)
        environment = dict(os.environ, PYTHONPATH=ROOT)
        program = subprocess.Popen(
            [sys.executable, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        child = int(program.stdout.readline())
        self.assertTrue(lives(child))
        return program, child

    def test_its_processes_end_with_the_program(self):
        program, child = self.start()
        program.stdin.close()
        self.assertEqual(program.wait(SOON_S), 0)
        wait_for(lambda: not lives(child))

    def test_its_processes_end_when_the_program_is_killed(self):
        program, child = self.start()
        program.kill()
        program.wait(SOON_S)
        program.stdin.close()
        wait_for(lambda: not lives(child))


if __name__ == "__main__":
    unittest.main()
