"""A stand-in for the package `cog`, so that its predictors run where cog is not installed.

The worker puts this module into `sys.modules` as `cog`. It has what predictors import.
"""

import importlib.util
import io
import pathlib
import sys
from typing import Any, Dict, Iterator, List, Optional, TypeVar

_T = TypeVar("_T")
_MISSING = object()


class InputInfo:
    """What `Input(...)` says of an input. `default` is absent where there is none."""

    def __init__(self, default: Any, **said: Any) -> None:
        if default is not _MISSING:
            self.default = default
        self.description: Optional[str] = said.get("description")
        self.ge = said.get("ge")
        self.le = said.get("le")
        self.min_length = said.get("min_length")
        self.max_length = said.get("max_length")
        self.regex = said.get("regex")
        self.choices: Optional[List[Any]] = said.get("choices")


def Input(
    default: Any = _MISSING,
    description: Optional[str] = None,
    ge: Optional[float] = None,
    le: Optional[float] = None,
    min_length: Optional[int] = None,
    max_length: Optional[int] = None,
    regex: Optional[str] = None,
    choices: Optional[List[Any]] = None,
    deprecated: Optional[bool] = None,
) -> Any:
    """Describe an input: `def predict(self, steps: int = Input(default=20, ge=1))`."""
    return InputInfo(
        default,
        description=description,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=choices,
    )


class BasePredictor:
    """A predictor may derive from this; it need not."""

    def setup(self) -> None:
        """Load the model, once."""

    def predict(self, **inputs: Any) -> Any:
        raise NotImplementedError("predict is missing")


class Path(type(pathlib.Path())):  # type: ignore[misc]
    """An input or output that is a file."""


class File(io.IOBase):
    """An input that is an open file."""


class ConcatenateIterator(Iterator[_T]):
    """The type of a predict that yields pieces of text."""

    def __next__(self) -> _T:
        raise StopIteration


class BaseModel:
    """An output with several named parts."""

    def __init__(self, **parts: Any) -> None:
        known = _annotations(type(self))
        for name, value in parts.items():
            if name not in known:
                raise TypeError("{} has no part {!r}".format(type(self).__name__, name))
            setattr(self, name, value)
        for name in known:
            if not hasattr(self, name):
                raise TypeError("{} lacks the part {!r}".format(type(self).__name__, name))

    def dict(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in _annotations(type(self))}


def install() -> None:
    """Make this module `cog`, unless the real one is there."""
    if "cog" in sys.modules:
        return
    found = importlib.util.find_spec("cog")
    # A mere folder of this name is a package to Python, with nothing in it.
    if found is None or found.origin is None:
        sys.modules["cog"] = sys.modules[__name__]


def _annotations(model: type) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for base in reversed(model.__mro__):
        found.update(getattr(base, "__annotations__", {}) if base is not object else {})
    return found
