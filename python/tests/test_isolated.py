"""`isolated` through real processes: what runs over its time is really gone."""

import asyncio
import os
import subprocess
import sys
import tempfile
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


@defib.isolated(timeout=SOON_S, memory="300MiB")
def fill(mebibytes):
    return os.getpid(), len(bytearray(mebibytes << 20))


@defib.isolated(timeout=SOON_S, workers=2)
def meet(folder, name, number):
    """Says that it is there, and waits until as many are there at the same time."""
    open(os.path.join(folder, name), "w").close()
    wait_for(lambda: len(os.listdir(folder)) >= number, SOON_S / 2)
    return os.getpid()


@defib.isolated(timeout=SOON_S * 3)
def stand_with_child(file, awake=False):
    """As `stand`, but nobody waits for its limit; `awake` keeps the processor busy."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(file + ".part", "w") as told:
        told.write("{} {}".format(os.getpid(), child.pid))
    os.rename(file + ".part", file)
    while True:
        if not awake:
            time.sleep(600)


@defib.isolated(timeout=1)
def hold(seconds):
    time.sleep(seconds)
    return os.getpid()


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("{} and {}".format(one, two))


@defib.isolated(timeout=SOON_S)
def misbehave(how):
    if how == "unpicklable exception":
        raise Odd("this", "that")
    if how == "unpicklable result":
        return threading.Lock()
    if how == "prints":
        print("printed by the function")
        sys.stderr.write("said by the function\n")
    return how


class Detector:
    @staticmethod
    @defib.isolated(timeout=SOON_S)
    def detect(page):
        return (page, os.getpid())


def folder_of(test):
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return folder.name


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
        async def both():
            return await asyncio.gather(echo.aio(1), echo.aio(2))

        self.assertEqual(asyncio.run(both()), [1, 2])


class Memory(unittest.TestCase):
    def tearDown(self):
        fill.close()

    def test_beyond_the_limit_the_function_gets_an_error_and_its_process_lives_on(self):
        first, size = fill(100)
        self.assertEqual(size, 100 << 20)
        with self.assertRaises(MemoryError) as raised:
            fill(400)
        self.assertIn("in fill", str(raised.exception.__cause__))
        self.assertEqual(fill(100), (first, 100 << 20))
        # The limit is the function's, not the caller's.
        self.assertEqual(len(bytearray(400 << 20)), 400 << 20)

    def test_sizes_are_read_as_on_the_command_line(self):
        from defib._isolated import _bytes_of

        for text, size in ((1000, 1000), ("4GiB", 4 << 30), ("500M", 500 << 20), ("500MB", 500 * 1000**2), ("2 T", 2 << 40),
                           ("1.5G", 3 << 29), ("10kB", 10000), ("10K", 10240), ("64", 64), ("64B", 64), (None, None)):
            self.assertEqual(_bytes_of(text), size, text)
        for bad in (0, -1, "", "much", "4XB", "4GG", "-1GiB", "0", "nan", "inf", "1e400", "GiB", 1.5, True):
            with self.assertRaises(ValueError, msg=bad) as raised:
                defib.isolated(timeout=1, memory=bad)
            self.assertIn("memory must be", str(raised.exception))


class Limits(unittest.TestCase):
    def test_limits_that_are_none_are_refused_when_decorating(self):
        for bad in (0, -1, float("nan"), float("inf"), "60s", None, True):
            with self.assertRaisesRegex(ValueError, "timeout must be", msg=bad):
                defib.isolated(timeout=bad)
        for bad in (0, -1, 1.5, "2", None, True):
            with self.assertRaisesRegex(ValueError, "workers must be", msg=bad):
                defib.isolated(timeout=1, workers=bad)
        with self.assertRaisesRegex(ValueError, "spawn"):
            defib.isolated(timeout=1, start="fork")

    def test_a_call_that_gets_no_process_in_time_says_so(self):
        self.addCleanup(hold.close)
        messages = []

        def run():
            try:
                messages.append(hold(600))
            except defib.Timeout as error:
                self.assertEqual(error.timeout_s, 1)
                messages.append(str(error))

        threads = [threading.Thread(target=run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON_S)
        self.assertEqual(len(messages), 5)
        name = hold.__module__ + ".hold"
        late = "{} did not start within 1 s: 1 of 1 processes were busy".format(name)
        # One whose turn comes just before its limit has started.
        self.assertLessEqual(set(messages), {late, "{} did not end within 1 s".format(name)})
        self.assertIn(late, messages)


class Workers(unittest.TestCase):
    def tearDown(self):
        meet.close()

    def call_all(self, calls):
        found, threads = [], []

        def run(call):
            try:
                found.append(call())
            except Exception as error:
                found.append(error)

        for call in calls:
            threads.append(threading.Thread(target=run, args=(call,)))
            threads[-1].start()
        for thread in threads:
            thread.join(SOON_S * 2)
        return found

    def test_two_calls_run_at_the_same_time_each_in_its_process(self):
        folder = folder_of(self)
        found = self.call_all([lambda name=name: meet(folder, name, 2) for name in ("a", "b")])
        self.assertEqual(len(set(found)), 2, found)
        self.assertTrue(all(isinstance(one, int) and lives(one) for one in found), found)
        again = self.call_all([lambda name=name: meet(folder, name, 2) for name in "cdefgh"])
        self.assertLessEqual(set(again), set(found))

    def test_a_third_call_waits(self):
        folder = folder_of(self)
        found = []
        calling = threading.Thread(
            target=lambda: found.extend(self.call_all([lambda name=name: meet(folder, name, 4) for name in "abc"]))
        )
        calling.start()
        wait_for(lambda: len(os.listdir(folder)) == 2)
        # It has all the time it needs to come too early.
        time.sleep(0.5)
        self.assertEqual(len(os.listdir(folder)), 2)
        for name in ("x", "y"):
            open(os.path.join(folder, name), "w").close()
        calling.join(SOON_S * 2)
        self.assertEqual((len(found), len(set(found))), (3, 2), found)

    def test_awaited_calls_share_the_processes(self):
        folder = folder_of(self)

        async def all_of_them():
            return await asyncio.gather(*[meet.aio(folder, name, 2) for name in "abcd"])

        self.assertEqual(len(set(asyncio.run(all_of_them()))), 2)


class Cancelled(unittest.TestCase):
    def tearDown(self):
        stand_with_child.close()

    def cancel(self, file, **arguments):
        """Awaits a call, cancels it when it runs, and returns its processes."""

        async def program():
            task = asyncio.ensure_future(stand_with_child.aio(file, **arguments))
            while not os.path.exists(file):
                await asyncio.sleep(0.01)
            with open(file) as told:
                pids = [int(word) for word in told.read().split()]
            self.assertTrue(all(map(lives, pids)))
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asyncio.wait_for(task, SOON_S)
            return pids

        return asyncio.run(asyncio.wait_for(program(), SOON_S))

    def test_a_cancelled_await_ends_the_work_and_what_it_has_started(self):
        for awake in (False, True):
            pids = self.cancel(os.path.join(folder_of(self), "pids"), awake=awake)
            wait_for(lambda: not any(map(lives, pids)))

    def test_the_next_call_gets_a_process_of_its_own(self):
        first = self.cancel(os.path.join(folder_of(self), "pids"))
        second = self.cancel(os.path.join(folder_of(self), "pids"))
        self.assertFalse(set(first) & set(second))
        wait_for(lambda: not any(map(lives, first + second)))

    def test_an_await_with_a_time_of_its_own_ends_the_work_too(self):
        file = os.path.join(folder_of(self), "pids")

        async def program():
            task = asyncio.ensure_future(stand_with_child.aio(file))
            while not os.path.exists(file):
                await asyncio.sleep(0.01)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.05)

        asyncio.run(program())
        with open(file) as told:
            pids = [int(word) for word in told.read().split()]
        wait_for(lambda: not any(map(lives, pids)))

    def test_one_that_waits_for_a_place_can_be_cancelled(self):
        first, second = (os.path.join(folder_of(self), "pids") for _ in range(2))

        async def program():
            running = asyncio.ensure_future(stand_with_child.aio(first))
            while not os.path.exists(first):
                await asyncio.sleep(0.01)
            waiting = asyncio.ensure_future(stand_with_child.aio(second))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asyncio.wait_for(waiting, SOON_S)
            with open(first) as told:
                pids = [int(word) for word in told.read().split()]
            # The one that runs is left alone.
            self.assertTrue(all(map(lives, pids)))
            running.cancel()
            await asyncio.wait([running], timeout=SOON_S)
            return pids

        pids = asyncio.run(asyncio.wait_for(program(), SOON_S))
        wait_for(lambda: not any(map(lives, pids)))
        self.assertFalse(os.path.exists(second))


class Values(unittest.TestCase):
    def test_what_cannot_be_pickled_is_told_by_name(self):
        with self.assertRaises(defib.RemoteError) as raised:
            misbehave("unpicklable exception")
        self.assertEqual((raised.exception.type_name, str(raised.exception)), ("Odd", "Odd: this and that"))
        self.assertIn("in misbehave", str(raised.exception.__cause__))
        with self.assertRaisesRegex(TypeError, "pickle"):
            misbehave("unpicklable result")
        with self.assertRaisesRegex(TypeError, "pickle"):
            misbehave(threading.Lock())
        self.assertEqual(misbehave("well"), "well")

    def test_a_method_of_a_class_can_be_isolated(self):
        page, pid = Detector.detect("page 1")
        self.assertEqual(page, "page 1")
        self.assertNotEqual(pid, os.getpid())

    def test_what_it_prints_goes_where_the_program_prints(self):
        program = "from tests.test_isolated import misbehave; misbehave('prints')"
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SOON_S * 2)
        self.assertEqual((done.stdout, done.stderr), (b"printed by the function\n", b"said by the function\n"))

    def test_a_fork_of_the_program_has_processes_of_its_own(self):
        program = (
            "import os\n"
            "from tests.test_isolated import whoami\n"
            "first = whoami()\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    second = whoami()\n"
            "    whoami.close()\n"
            "    os._exit(0 if second != first else 1)\n"
            "_, status = os.waitpid(child, 0)\n"
            "print(status, whoami() == first)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, timeout=SOON_S * 2)
        self.assertEqual(done.stdout, b"0 True\n")


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
        file = os.path.join(folder_of(self), "program.py")
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
