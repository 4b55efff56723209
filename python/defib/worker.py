"""The host of a predictor: `python -m defib.worker`, started by the defib program.

Control travels as JSON lines on the descriptor named by `DEFIB_CONTROL`, so that stdout and
stderr stay the predictor's own. Jobs are read and run in the main thread, one by one. A thread
ends the process at once when the host is gone; another one sends a heartbeat each second.
"""

import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import platform
import signal
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict, Optional

from defib import _cog, _notify, _tqdm
from defib._control import Control
from defib._inputs import Input, check_inputs, read_inputs
from defib._outputs import Outputs

PROTOCOL = 1
HEARTBEAT_S = 1.0
TEXT_LIMIT = 65536
# After one of these the CUDA context of the process is lost, whatever the next job asks.
_POISON = ("CUDA error", "device-side assert", "CUBLAS_STATUS", "CUDNN_STATUS")


def main() -> int:
    """Serve until the host says so or closes. Returns the exit status."""
    number = os.environ.pop("DEFIB_CONTROL", "")
    try:
        control = Control(int(number))
    except (ValueError, OSError):
        sys.stderr.write(
            "defib.worker is started by defib: DEFIB_CONTROL must be the number of an open "
            "socket, not {!r}\n".format(number)
        )
        return 2
    # Ctrl+C reaches the whole group of the terminal. The host decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(control)
    control.send(
        {
            "is": "hello",
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "python": platform.python_version(),
        }
    )
    threading.Thread(target=worker.watch, name="defib control", daemon=True).start()
    threading.Thread(target=worker.beat, name="defib heartbeat", daemon=True).start()
    _notify.set_sink(worker.tell)
    _cog.install()
    _tqdm.install()
    worker.serve()
    return 0


class Worker:
    """A predictor and its connection to the host."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._predict: Optional[Callable[..., Any]] = None
        self._inputs: Dict[str, Input] = {}
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._job: Optional[str] = None

    def watch(self) -> None:
        """End at once when the host is gone, whatever else goes on here."""
        self._control.wait_closed()
        os._exit(0)

    def beat(self) -> None:
        while True:
            self._control.send_lossy({"is": "heartbeat"})
            time.sleep(HEARTBEAT_S)

    def tell(self, message: Dict[str, Any]) -> None:
        """Where stage, progress and heartbeat of the predictor go."""
        if message["is"] == "progress":
            message = {"is": "progress", "job": self._job, **message}
        self._control.send_lossy(message)

    def serve(self) -> None:
        """Do what the host asks, one after the other, until it says shutdown or is gone."""
        try:
            for message in self._control.messages():
                what = message.get("do")
                if what == "setup":
                    self._control.send(self._setup(message))
                elif what == "predict":
                    self._control.send(self._answer(message))
                elif what == "shutdown":
                    return
                # Others come from a newer host; within protocol 1 they may be left undone.
        except ConnectionError:
            pass  # The host closed with something of ours unread: it is gone as well.
        except (OSError, ValueError) as error:
            with contextlib.suppress(Exception):
                sys.stderr.write("defib.worker: control: {}\n".format(error))
            os._exit(2)
        os._exit(0)

    def _setup(self, message: Dict[str, Any]) -> Dict[str, Any]:
        began = time.monotonic()
        try:
            predictor = _load(message["predictor"])()
            setup = getattr(predictor, "setup", None)
            if setup is not None:
                self._finish(setup(**(message.get("options") or {})))
            self._inputs = read_inputs(predictor.predict)
            self._predict = predictor.predict
            described = {name: each.describe() for name, each in self._inputs.items()}
        except BaseException as error:
            return {"is": "setup-failed", "error": _describe(error)}
        return {"is": "ready", "inputs": described, "took_s": _since(began)}

    def _answer(self, message: Dict[str, Any]) -> Dict[str, Any]:
        began = time.monotonic()
        about = {"job": message.get("job"), "attempt": message.get("attempt")}
        self._job = message.get("job")
        outputs = Outputs(message.get("out") or os.getcwd())
        try:
            if self._predict is None:
                raise RuntimeError("a job came before a setup that succeeded")
            keywords = check_inputs(
                self._inputs, message.get("inputs") or {}, message.get("files") or {}
            )
            values = outputs.take(self._finish(self._predict(**keywords)))
        except BaseException as error:
            failed = {"error": _describe(error), "poisoned": _is_poisoned(error)}
            return {"is": "failed", **about, **failed}
        finally:
            self._job = None
            _flush()
        done = {"values": values, "outputs": outputs.files, "took_s": _since(began)}
        return {"is": "done", **about, **done, "nonfinite": outputs.nonfinite}

    def _finish(self, result: Any) -> Any:
        """Wait for coroutines and collect generators; each item of those is progress."""
        if inspect.isawaitable(result):
            return self._finish(self._event_loop().run_until_complete(_awaited(result)))
        if inspect.isasyncgen(result):
            return self._event_loop().run_until_complete(_collected(result))
        if inspect.isgenerator(result) or _is_iterator(result):
            items = []
            for item in result:
                items.append(item)
                _tell_item(len(items), item)
            return items
        return result

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        """One loop for all jobs: clients made in an async setup belong to it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop


async def _awaited(result: Any) -> Any:
    return await result


async def _collected(result: Any) -> Any:
    items = []
    async for item in result:
        items.append(item)
        _tell_item(len(items), item)
    return items


def _tell_item(count: int, item: Any) -> None:
    _notify.progress(count, None, item if isinstance(item, str) else None)


def _is_iterator(result: Any) -> bool:
    """Such as `map` or cog's ConcatenateIterator, but not an open file."""
    return hasattr(result, "__next__") and not hasattr(result, "read")


def _load(predictor: str) -> Any:
    """The class named as "predict.py:Predictor" or "package.module:Predictor"."""
    place, colon, name = predictor.rpartition(":")
    if not colon or not place or not name:
        raise ValueError('predictor must be like "predict.py:Predictor", not {!r}'.format(predictor))
    sys.path.insert(0, os.getcwd())
    if not place.endswith(".py"):
        return _class_in(importlib.import_module(place), name)
    path = pathlib.Path(place).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, str(path))
    if spec is None or spec.loader is None:
        raise ImportError("{} cannot be loaded".format(path))
    module = importlib.util.module_from_spec(spec)
    # Before it runs: dataclasses and pickle look for the module there.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return _class_in(module, name)


def _class_in(module: Any, name: str) -> Any:
    found = getattr(module, name, None)
    if not inspect.isclass(found) or not callable(getattr(found, "predict", None)):
        raise TypeError(
            "{} has no class {} with a method predict".format(module.__name__, name)
        )
    return found


def _describe(error: BaseException) -> Dict[str, str]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    # The end of a traceback says most.
    return {
        "type": type(error).__name__,
        "message": str(error)[:TEXT_LIMIT],
        "traceback": text[-TEXT_LIMIT:],
    }


def _is_poisoned(error: Optional[BaseException]) -> bool:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if any(text in str(error) for text in _POISON):
            return True
        error = error.__cause__ or error.__context__
    return False


def _since(began: float) -> float:
    return round(time.monotonic() - began, 6)


def _flush() -> None:
    """Lines of a job must not come out during the next one."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


if __name__ == "__main__":
    sys.exit(main())
