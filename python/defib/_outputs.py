"""What a predictor returns: values as JSON, everything else as files in the job's folder."""

import dataclasses
import enum
import io
import math
import mimetypes
import os
import pathlib
import re
import shutil
import sys
from typing import Any, BinaryIO, Callable, Dict, List, Set


class Outputs:
    """The files of one job and the numbers in it that are none.

    `values` in the answer holds `{"output": NAME}` where a file was.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: Set[str] = set()
        self.files: List[Dict[str, str]] = []
        self.nonfinite: List[str] = []

    def take(self, value: Any, name: str = "output") -> Any:
        """The value as JSON; files are written. Raises TypeError for what is neither."""
        if isinstance(value, enum.Enum):
            return self.take(value.value, name)
        if value is None or isinstance(value, (str, bool, int)):
            return value
        if isinstance(value, float):
            return self._number(value, name)
        if isinstance(value, dict):
            return {str(key): self.take(item, _below(name, str(key))) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(list(value), name)
        if isinstance(value, pathlib.PurePath):
            return self._copy(pathlib.Path(value), name)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._write(name, ".bin", lambda file: file.write(value))
        if isinstance(value, io.IOBase) or hasattr(value, "read"):
            return self._copy_open(value, name)
        return self._take_object(value, name)

    def _take_object(self, value: Any, name: str) -> Any:
        image = getattr(sys.modules.get("PIL.Image"), "Image", None)
        if image is not None and isinstance(value, image):
            suffix, form = (".png", "PNG") if value.mode in _PNG_MODES else (".tiff", "TIFF")
            return self._write(name, suffix, lambda file: value.save(file, form))
        numpy = sys.modules.get("numpy")
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, getattr(torch, "Tensor", ())):
            return self._tensor(value, name)
        if numpy is not None and isinstance(value, numpy.generic):
            return self.take(value.item(), name)
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self._array(numpy, value, name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self.take(parts, name)
        if hasattr(value, "model_fields") or hasattr(value, "__fields__"):
            fields = getattr(type(value), "model_fields", None) or value.__fields__
            return self.take({field: getattr(value, field) for field in fields}, name)
        if callable(getattr(value, "dict", None)):
            return self.take(value.dict(), name)
        raise TypeError(
            "{} is a {}; return what fits into JSON, a pathlib.Path, an open file, bytes, a PIL "
            "image or a numpy array".format(name, type(value).__name__)
        )

    def _list(self, items: List[Any], name: str) -> Any:
        if items and all(isinstance(item, float) for item in items):
            # A list of numbers is one output: name it once, not each number.
            return [self._number(item, name) for item in items]
        return [self.take(item, _below(name, str(index))) for index, item in enumerate(items)]

    def _number(self, value: float, name: str) -> Any:
        """JSON has no NaN and no infinity: null stands there, and the name is told."""
        if math.isfinite(value):
            return value
        self._tell_nonfinite(name)
        return None

    def _tell_nonfinite(self, name: str) -> None:
        if name not in self.nonfinite:
            self.nonfinite.append(name)

    def _array(self, numpy: Any, value: Any, name: str) -> Any:
        if value.ndim == 0:
            return self.take(value.item(), name)
        if value.dtype.hasobject:
            return self.take(value.tolist(), name)
        if value.dtype.kind in "fc" and not numpy.isfinite(value).all():
            self._tell_nonfinite(name)
        return self._write(name, ".npy", lambda file: numpy.save(file, value, allow_pickle=False))

    def _tensor(self, value: Any, name: str) -> Any:
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()  # numpy has no such type.
        return self._take_object(value.numpy(), name)

    def _copy(self, path: pathlib.Path, name: str) -> Any:
        if not path.is_file():
            raise FileNotFoundError("{}: predict returned {}, which is no file".format(name, path))
        with open(path, "rb") as source:
            return self._copy_open(source, name, path.suffix)

    def _copy_open(self, source: Any, name: str, suffix: str = "") -> Any:
        # A copy, not a link: predictors like to write the same file again for the next job.
        if not suffix and isinstance(getattr(source, "name", None), str):
            suffix = os.path.splitext(source.name)[1]
        if source.seekable():
            source.seek(0)
        if isinstance(source, io.TextIOBase):
            text = source.read().encode("utf-8")
            return self._write(name, suffix or ".txt", lambda file: file.write(text))
        return self._write(name, suffix or ".bin", lambda file: shutil.copyfileobj(source, file, 1 << 20))

    def _write(self, name: str, suffix: str, write: Callable[[BinaryIO], Any]) -> Dict[str, str]:
        """Write under a temporary name, so that nobody ever sees half a file."""
        file_name = self._free_name(name, suffix)
        path = os.path.join(self._folder, file_name)
        temporary = os.path.join(self._folder, ".{}.part-{}".format(file_name, os.getpid()))
        os.makedirs(self._folder, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        media_type = mimetypes.guess_type(file_name)[0] or _OTHER_TYPES.get(
            suffix.lower(), "application/octet-stream"
        )
        self.files.append({"name": file_name, "path": path, "media_type": media_type})
        return {"output": file_name}

    def _free_name(self, name: str, suffix: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or "output"
        suffix = re.sub(r"[^A-Za-z0-9.]", "", suffix)
        candidate, number = stem + suffix, 1
        while candidate in self._names:
            number += 1
            candidate = "{}-{}{}".format(stem, number, suffix)
        self._names.add(candidate)
        return candidate


# What PNG cannot hold as it is, such as depth maps of floats or CMYK, TIFF can.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
# Missing from the table of some Python versions.
_OTHER_TYPES = {".npy": "application/x-npy", ".webp": "image/webp", ".glb": "model/gltf-binary"}


def _below(name: str, part: str) -> str:
    """The name of a part: "image" for the first level, "images.0" below it."""
    return part if name == "output" and not part.isdigit() else "{}.{}".format(name, part)
