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

from tests.support import ROOT, SOON_S, Host, lives, needs, read, wait_for

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


class Case(unittest.TestCase):
    def start(self, source, python=sys.executable):
        """A worker in a folder of its own, with this predict.py."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, "out")
        os.mkdir(self.out)
        self.write("predict.py", source)
        self.host = Host(self.folder, python)
        self.addCleanup(self.host.end)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def set_up(self, predictor="predict.py:Predictor", **options):
        hello, _ = self.host.hear("hello")
        self.assertEqual((hello["protocol"], hello["pid"]), (1, self.host.process.pid))
        self.host.say(do="setup", predictor=predictor, options=options)
        return self.host.hear("ready", "setup-failed")

    def started(self, source, python=sys.executable):
        self.start(source, python)
        ready, _ = self.set_up()
        self.assertEqual(ready["is"], "ready", ready)
        return ready

    def begin(self, job="j1", files=None, **inputs):
        self.host.say(do="predict", job=job, attempt=1, inputs=inputs, files=files or {}, out=self.out)

    def predict(self, job="j1", files=None, **inputs):
        self.begin(job, files, **inputs)
        return self.host.hear("done", "failed")

    def values(self, **inputs):
        done, _ = self.predict(**inputs)
        self.assertEqual(done["is"], "done", done)
        return done["values"]

    def refusal(self, files=None, **inputs):
        failed, _ = self.predict(files=files, **inputs)
        self.assertEqual(failed["is"], "failed", failed)
        self.assertFalse(failed["poisoned"])
        return "{type}: {message}".format(**failed["error"])


class Worker(Case):
    def setUp(self):
        self.start(PREDICTOR)

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
        self.host.hang_up()
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


COG = '''
import tempfile
from typing import List, Optional
from cog import BaseModel, BasePredictor, ConcatenateIterator, File, Input, Path

class Output(BaseModel):
    text: str
    page: Path
    boxes: Optional[List[int]] = None

class Predictor(BasePredictor):
    def setup(self, weights: Optional[Path] = None) -> None:
        self.greeting = "hello"

    def predict(
        self,
        image: Path = Input(description="the page"),
        scale: float = Input(description="by how much", default=1.5, ge=0.5, le=4),
        mode: str = Input(default="fast", choices=["fast", "exact"]),
        name: str = Input(default="x", min_length=1, max_length=3, regex="^[a-z]+$"),
        seed: int = Input(default=None, description="random if not given"),
        upscale: bool = False,
        raw: File = None,
    ) -> Output:
        page = Path(tempfile.mkdtemp()) / "page.png"
        page.write_bytes(image.read_bytes() * 2)
        known = [type(image).__name__, scale, mode, name, seed, upscale, raw and raw.read().decode()]
        return Output(text=self.greeting + " " + repr(known), page=page, boxes=[1, 2])

class Text(BasePredictor):
    def predict(self, count: int) -> ConcatenateIterator[str]:
        for number in range(count):
            yield "word{} ".format(number)
'''


class Cog(Case):
    def test_inputs_outputs_and_base_classes_of_cog(self):
        ready = self.started(COG)
        told = ready["inputs"]
        self.assertEqual(list(told), ["image", "scale", "mode", "name", "seed", "upscale", "raw"])
        self.assertEqual(told["image"], {"type": "path", "required": True, "description": "the page"})
        self.assertEqual(told["scale"], {
            "type": "float", "required": False, "default": 1.5, "description": "by how much", "ge": 0.5, "le": 4,
        })
        self.assertEqual(told["mode"]["choices"], ["fast", "exact"])
        self.assertEqual((told["seed"]["default"], told["seed"]["required"]), (None, False))
        image, raw = self.write("in.png", "pixels"), self.write("raw.txt", "bytes")
        done, _ = self.predict(files={"image": image, "raw": raw}, scale=2, upscale=True)
        self.assertEqual(done["is"], "done", done)
        self.assertEqual(done["values"]["text"], "hello ['Path', 2.0, 'fast', 'x', None, True, 'bytes']")
        self.assertEqual((done["values"]["page"], done["values"]["boxes"]), ({"output": "page.png"}, [1, 2]))
        (page,) = done["outputs"]
        self.assertEqual((page["name"], page["media_type"]), ("page.png", "image/png"))
        self.assertEqual(read(page["path"]), "pixelspixels")
        self.assertEqual(os.listdir(self.out), ["page.png"])

    def test_pieces_of_text_are_progress_and_a_list(self):
        self.start(COG)
        ready, _ = self.set_up("predict.py:Text")
        self.assertEqual(ready["inputs"], {"count": {"type": "int", "required": True}})
        done, before = self.predict(count=3)
        self.assertEqual(done["values"], ["word0 ", "word1 ", "word2 "])
        told = [one for one in before if one["is"] == "progress"]
        self.assertEqual((told[0]["done"], told[0]["text"], told[0]["job"]), (1, "word0 ", "j1"))

    def test_a_folder_called_cog_is_not_cog(self):
        self.start(COG)
        os.mkdir(os.path.join(self.folder, "cog"))
        ready, _ = self.set_up("predict.py:Text")
        self.assertEqual(ready["is"], "ready", ready)

    def test_every_limit_is_said_in_words(self):
        self.started(COG)
        image = self.write("in.png", "x")
        for inputs, told in (
            ({"scale": 0.25}, "scale must be at least 0.5, not 0.25"),
            ({"scale": 5}, "scale must be at most 4, not 5.0"),
            ({"scale": "2"}, "scale must be a number, not '2'"),
            ({"scale": True}, "scale must be a number, not True"),
            ({"scale": float("nan")}, "scale must be a number, not nan"),
            ({"scale": None}, "scale must be a number, not None"),
            ({"mode": "best"}, "mode must be one of 'fast', 'exact', not 'best'"),
            ({"mode": 3}, "mode must be text, not 3"),
            ({"name": ""}, "name must have at least 1 characters"),
            ({"name": "long"}, "name must have at most 3 characters"),
            ({"name": "A"}, "name must match ^[a-z]+$"),
            ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
            ({"seed": [1]}, "seed must be a whole number, not [1]"),
            ({"upscale": "yes"}, "upscale must be true or false, not 'yes'"),
            ({"colour": 1, "shade": 2}, "unknown input colour, shade; known are: image, scale, mode, name, seed, "
                                        "upscale, raw"),
        ):
            self.assertEqual(self.refusal({"image": image}, **inputs), "InputError: " + told)
        for number in (7.0, 7, 10**400):
            done, _ = self.predict(files={"image": image}, seed=number)
            self.assertIn(", {}, False".format(int(number)), done["values"]["text"])
        self.assertEqual(self.refusal({"image": image}, scale=10**400), "InputError: scale must be a number, "
                         "not " + "1" + "0" * 56 + "…")

    def test_files_come_only_as_files(self):
        self.started(COG)
        image = self.write("in.png", "x")
        missing = os.path.join(self.folder, "missing.png")
        for files, inputs, told in (
            ({}, {}, "the input image is missing"),
            # Who sends values must not be able to read any file of the machine.
            ({}, {"image": "/etc/passwd"}, "image is a file: give it under files"),
            ({"image": image}, {"raw": "/etc/passwd"}, "raw is a file: give it under files"),
            ({"image": missing}, {}, "image: the file {} does not exist".format(missing)),
            ({"image": image, "scale": image}, {}, "scale is not a file: give it under inputs"),
            ({"image": 7}, {}, "image must be the path of a file"),
        ):
            self.assertEqual(self.refusal(files, **inputs), "InputError: " + told)


PLAIN = '''
import enum
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Union

class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"

class Predictor:
    def predict(self, size: Size = Size.SMALL, way: Literal["up", "down"] = "up", level: Literal[1, "max"] = 1,
                pages: Optional[List[Path]] = None, numbers: List[int] = (), names: List[str] = (),
                options: Dict[str, Any] = None, either: Union[int, str] = 0, anything=None):
        return {"size": size.name, "way": way, "level": level, "pages": pages and [page.read_text() for page in pages],
                "numbers": list(numbers), "names": list(names), "options": options, "either": either, "anything": anything}
'''


class Annotations(Case):
    def test_plain_annotations_are_inputs_too(self):
        told = self.started(PLAIN)["inputs"]
        self.assertEqual(told["size"], {"type": "str", "required": False, "default": "small", "choices": ["small", "large"]})
        self.assertEqual(told["level"]["choices"], [1, "max"])
        pages = [self.write("a.txt", "a"), self.write("b.txt", "b")]
        done, _ = self.predict(files={"pages": pages}, size="large", way="down", level="max", numbers=[1, 2.0],
                               names=["x"], options={"a": 1}, either="s", anything=[None])
        self.assertEqual(done["values"], {
            "size": "LARGE", "way": "down", "level": "max", "pages": ["a", "b"], "numbers": [1, 2], "names": ["x"],
            "options": {"a": 1}, "either": "s", "anything": [None],
        }, done)
        done, _ = self.predict(files={"pages": pages[0]})
        self.assertEqual(done["values"]["pages"], ["a"])
        for inputs, told in (
            ({"size": "huge"}, "size must be one of 'small', 'large', not 'huge'"),
            ({"way": "left"}, "way must be one of 'up', 'down', not 'left'"),
            ({"level": "min"}, "level must be one of 1, 'max', not 'min'"),
            ({"numbers": "12"}, "numbers must be a list, not '12'"),
            ({"numbers": [1, "2"]}, "numbers[1] must be a whole number, not '2'"),
            ({"names": "abc"}, "names must be a list, not 'abc'"),
            ({"options": [1]}, "options must be an object, not [1]"),
            ({"pages": ["/etc/passwd"]}, "pages is a file: give it under files"),
        ):
            self.assertEqual(self.refusal(**inputs), "InputError: " + told)

    def test_a_predict_that_hides_its_inputs_cannot_be_set_up(self):
        self.start("class Predictor:\n    def predict(self, *images):\n        pass\n")
        failed, _ = self.set_up()
        self.assertEqual(failed["is"], "setup-failed")
        self.assertIn("predict must take its inputs by name", failed["error"]["message"])


ITERATORS = '''
import asyncio, os, pathlib, time
import defib

class Predictor:
    async def setup(self, folder="."):
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        self.go = pathlib.Path(folder) / "go"

    def predict(self, kind: str, count: int = 3):
        return getattr(self, kind)(count)

    def generator(self, count):
        for number in range(count):
            yield number * number
            time.sleep(0.11)

    async def coroutine(self, count):
        assert asyncio.get_running_loop() is self.loop
        return await asyncio.gather(*[asyncio.sleep(0, number) for number in range(count)])

    async def async_generator(self, count):
        for number in range(count):
            yield {"number": number}
            await asyncio.sleep(0.11)

    def lazily(self, count):
        return map(str, range(count))

    def files(self, count):
        for number in range(count):
            path = pathlib.Path("page-{}.txt".format(number))
            path.write_text(str(number))
            yield path

    def breaks(self, count):
        yield 1
        raise LookupError("after one")

    async def async_breaks(self, count):
        yield 1
        raise LookupError("after one")

    def held(self, count):
        yield "first"
        while not self.go.exists():
            time.sleep(0.01)
        yield "second"
'''


class Iterators(Case):
    def test_what_comes_piece_by_piece_is_progress_and_then_a_list(self):
        self.started(ITERATORS)
        for kind, values in (("generator", [0, 1, 4]), ("async_generator", [{"number": 0}, {"number": 1}, {"number": 2}])):
            done, before = self.predict(kind=kind)
            self.assertEqual(done["values"], values)
            told = [(one["done"], one["total"], one["job"]) for one in before if one["is"] == "progress"]
            self.assertEqual(told, [(1, None, "j1"), (2, None, "j1"), (3, None, "j1")])
        self.assertEqual(self.values(kind="coroutine"), [0, 1, 2])
        self.assertEqual(self.values(kind="lazily"), ["0", "1", "2"])
        self.assertEqual(self.values(kind="generator", count=0), [])

    def test_a_piece_is_told_before_the_next_one_is_made(self):
        self.started(ITERATORS)
        self.begin(kind="held")
        first, _ = self.host.hear("progress")
        self.assertEqual((first["done"], first["text"]), (1, "first"))
        self.write("go", "")
        done, _ = self.host.hear("done", "failed")
        self.assertEqual(done["values"], ["first", "second"])

    def test_each_piece_may_be_a_file(self):
        self.started(ITERATORS)
        done, _ = self.predict(kind="files")
        self.assertEqual([read(one["path"]) for one in done["outputs"]], ["0", "1", "2"])
        self.assertEqual(done["values"], [{"output": one["name"]} for one in done["outputs"]])
        self.assertEqual(len({one["name"] for one in done["outputs"]}), 3)

    def test_one_that_breaks_off_fails_and_leaves_the_worker_well(self):
        self.started(ITERATORS)
        for kind in ("breaks", "async_breaks"):
            self.assertEqual(self.refusal(kind=kind), "LookupError: after one")
        self.assertEqual(self.values(kind="coroutine"), [0, 1, 2])


LOUD = '''
import os, pathlib, subprocess, sys, threading, time

class Predictor:
    def setup(self, slow=False):
        print('{"is":"ready"}')
        while slow:
            time.sleep(0.01)

    def predict(self, way: str):
        if way == "print":
            print('{"is":"done","job":"forged"}', flush=True)
            os.write(1, b'{"is":"done","job":"forged"}\\n')
            os.write(2, b"to stderr\\n")
            sys.stdout.write("no line end")
        elif way == "child":
            subprocess.run([sys.executable, "-c", "import os; print(os.listdir('/proc/self/fd'))"], check=True)
        elif way == "fork":
            child = os.fork()
            if child == 0:
                import defib
                defib.progress(99, 100)
                os._exit(0)
            os.waitpid(child, 0)
        elif way == "close":
            sys.stdout.close()
            os.close(1)
        elif way == "sleep":
            pathlib.Path("began").touch()
            time.sleep(600)
        elif way == "spin":
            pathlib.Path("began").touch()
            while True:
                pass
        elif way == "threads":
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            threading.Thread(target=time.sleep, args=(600,)).start()
        elif way == "exit":
            sys.exit(3)
        elif way == "hold":
            while not os.path.exists("go"):
                time.sleep(0.01)
        elif way == "spin-until":
            while not os.path.exists("go"):
                sum(range(100000))
        return way
'''


class Control(Case):
    def test_what_is_printed_never_comes_between_the_messages(self):
        self.started(LOUD)
        for way in ("print", "child", "fork", "close", "still here"):
            done, before = self.predict(job=way, way=way)
            self.assertEqual((done["is"], done["job"], done["values"]), ("done", way, way), done)
            self.assertEqual([one for one in before if one["is"] != "heartbeat"], [])
        forged = '{"is":"done","job":"forged"}'
        printed = read(self.host.output)
        self.assertEqual(printed.splitlines()[:3], ['{"is":"ready"}', forged, forged])
        # The child has a descriptor for the folder it lists, and none of ours.
        self.assertIn("no line end['0', '1', '2', '3']", printed)
        self.assertEqual(read(self.host.errors), "to stderr\n")

    def test_it_ends_with_the_connection_whatever_predict_does(self):
        for way in ("sleep", "spin"):
            self.started(LOUD)
            self.begin(way=way)
            wait_for(lambda: os.path.exists(os.path.join(self.folder, "began")))
            self.host.hang_up()
            self.assertEqual(self.host.process.wait(SOON_S), 0)
            self.assertFalse(lives(self.host.process.pid))

    def test_it_ends_with_the_connection_between_two_jobs_and_in_setup(self):
        self.started(LOUD)
        self.assertEqual(self.values(way="threads"), "threads")
        self.host.hang_up()
        self.assertEqual(self.host.process.wait(SOON_S), 0)
        self.start(LOUD)
        self.host.hear("hello")
        self.host.say(do="setup", predictor="predict.py:Predictor", options={"slow": True})
        self.host.hear("heartbeat")
        self.host.hang_up()
        self.assertEqual(self.host.process.wait(SOON_S), 0)

    def test_it_ends_also_when_the_host_was_killed(self):
        """The host is a process here, and its death closes the connection."""
        self.start(LOUD)
        self.host.end()
        program = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from tests.support import Host\n"
            "host = Host(sys.argv[2]); host.hear('hello')\n"
            "host.say(do='setup', predictor='predict.py:Predictor'); host.hear('ready')\n"
            "host.say(do='predict', job='j1', inputs={'way': 'sleep'}, out=sys.argv[2])\n"
            "print(host.process.pid, flush=True); sys.stdin.read()\n"
        )
        host = subprocess.Popen([sys.executable, "-c", program, ROOT, self.folder], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        self.addCleanup(host.stdout.close)
        self.addCleanup(host.stdin.close)
        worker = int(host.stdout.readline())
        wait_for(lambda: os.path.exists(os.path.join(self.folder, "began")))
        self.assertTrue(lives(worker))
        host.kill()
        host.wait(SOON_S)
        wait_for(lambda: not lives(worker))

    def test_it_beats_while_predict_holds_the_main_thread(self):
        for way in ("hold", "spin-until"):
            self.started(LOUD)
            self.begin(way=way)
            for _ in range(3):
                self.host.hear("heartbeat")
            self.write("go", "")
            done, _ = self.host.hear("done", "failed")
            self.assertEqual(done["values"], way)

    def test_an_exit_in_predict_is_a_failure_of_the_job(self):
        self.started(LOUD)
        self.assertEqual(self.refusal(way="exit"), "SystemExit: 3")
        self.assertEqual(self.values(way="still here"), "still here")

    def test_jobs_that_wait_are_done_one_by_one_before_a_shutdown(self):
        self.started(LOUD)
        self.begin("first", way="hold")
        self.begin("second", way="x")
        self.host.say(do="something-newer")
        self.host.say(do="shutdown")
        self.write("go", "")
        self.assertEqual([self.host.hear("done", "failed")[0]["job"] for _ in range(2)], ["first", "second"])
        self.assertEqual(self.host.process.wait(SOON_S), 0)

    def test_what_is_no_message_ends_it_and_is_said(self):
        for line, told in ((b"hello\n", "control:"), (b"[1]\n", "a message must be an object, not [1]")):
            self.start(LOUD)
            self.host.hear("hello")
            self.host.control.sendall(line)
            self.assertEqual(self.host.process.wait(SOON_S), 2)
            self.assertIn(told, read(self.host.errors))


NUMPY = '''
import numpy
import defib

class Predictor:
    def predict(self, kind: str):
        defib.progress(numpy.int64(2), numpy.float32(4))
        boxes = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
        if kind == "array":
            return boxes
        if kind == "nan":
            boxes[1, 1] = numpy.nan
            return {"boxes": boxes, "score": numpy.float64("inf"), "losses": [0.5, float("nan")]}
        if kind == "scalars":
            return {"i": numpy.int64(3), "f": numpy.float32(0.5), "b": numpy.bool_(True), "zero": numpy.array(7),
                    "s": numpy.str_("x"), "objects": numpy.array([1, "a"], dtype=object)}
        return [boxes, boxes * 2]
'''

PIL = '''
from PIL import Image

class Predictor:
    def predict(self, mode: str):
        image = Image.new("RGB", (4, 2), (255, 0, 0))
        return image.convert(mode) if mode != "many" else {"pages": [image, image.resize((2, 2))]}
'''

TQDM = '''
import time
from tqdm import tqdm

class Predictor:
    def predict(self, quiet: bool = False):
        total = 0
        for epoch in tqdm(range(3), desc="epochs", disable=quiet):
            for step in tqdm(range(5), desc="steps", leave=False, disable=quiet):
                total += 1
            time.sleep(0.15)
        return total
'''


class Packages(Case):
    def test_arrays_are_files_and_scalars_are_values(self):
        python = needs(self, "numpy")
        self.started(NUMPY, python)
        done, before = self.predict(kind="array")
        self.assertEqual((done["is"], done["values"], done["nonfinite"]), ("done", {"output": "output.npy"}, []), done)
        self.assertEqual(done["outputs"][0]["media_type"], "application/x-npy")
        shown = subprocess.run(
            [python, "-c", "import numpy, sys; print(numpy.load(sys.argv[1]).tolist())", done["outputs"][0]["path"]],
            stdout=subprocess.PIPE, timeout=60, check=True,
        )
        self.assertEqual(json.loads(shown.stdout), [[0, 1, 2], [3, 4, 5]])
        told = [(one["done"], one["total"]) for one in before if one["is"] == "progress"]
        self.assertEqual(told, [(2, 4)])
        self.assertEqual(self.values(kind="scalars"),
                         {"i": 3, "f": 0.5, "b": True, "zero": 7, "s": "x", "objects": [1, "a"]})
        self.assertEqual(self.values(kind="list"), [{"output": "output.0.npy"}, {"output": "output.1.npy"}])

    def test_numbers_that_are_none_are_named(self):
        self.started(NUMPY, needs(self, "numpy"))
        done, _ = self.predict(kind="nan")
        self.assertEqual(done["nonfinite"], ["boxes", "score", "losses"])
        self.assertEqual(done["values"], {"boxes": {"output": "boxes.npy"}, "score": None, "losses": [0.5, None]})

    def test_images_are_files(self):
        python = needs(self, "PIL")
        self.started(PIL, python)
        look = "import sys; from PIL import Image; image = Image.open(sys.argv[1]); image.load(); print(image.mode, image.size)"
        for mode, suffix in (("RGB", "png"), ("RGBA", "png"), ("L", "png"), ("1", "png"), ("P", "png"), ("LA", "png"),
                             ("I", "tiff"), ("CMYK", "tiff"), ("F", "tiff"), ("YCbCr", "tiff")):
            done, _ = self.predict(mode=mode)
            self.assertEqual((done["is"], done.get("values")), ("done", {"output": "output." + suffix}), done)
            shown = subprocess.run([python, "-c", look, done["outputs"][0]["path"]], stdout=subprocess.PIPE, timeout=60,
                                   check=True)
            self.assertEqual(shown.stdout.decode().split(" ", 1)[1], "(4, 2)\n")
            os.unlink(done["outputs"][0]["path"])
        done, _ = self.predict(mode="many")
        self.assertEqual(done["values"], {"pages": [{"output": "pages.0.png"}, {"output": "pages.1.png"}]})
        self.assertEqual([one["media_type"] for one in done["outputs"]], ["image/png"] * 2)

    def test_the_outermost_bar_of_tqdm_is_progress(self):
        self.started(TQDM, needs(self, "tqdm"))
        done, before = self.predict()
        self.assertEqual(done["values"], 15)
        told = [(one["done"], one["total"], one["text"]) for one in before if one["is"] == "progress"]
        self.assertEqual(told, [(1, 3, "epochs"), (2, 3, "epochs"), (3, 3, "epochs")])
        done, before = self.predict(quiet=True)
        self.assertEqual([one for one in before if one["is"] == "progress"], [])
        self.assertIn("epochs", read(self.host.errors))


if __name__ == "__main__":
    unittest.main()
