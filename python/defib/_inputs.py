"""What a predictor takes: read from the signature of `predict`, and checked before it runs."""

import enum
import inspect
import io
import math
import pathlib
import re
import sys
import typing
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

_ABSENT = object()
_LIMITS = ("description", "ge", "le", "choices", "min_length", "max_length", "regex")
_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


class InputError(ValueError):
    """The inputs of a job do not fit the predictor. The message says which and why."""


class Input:
    """One input: its name, type, default and limits."""

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        self.name = name
        self.type = "json"
        self.default = _ABSENT
        self.python_type: Any = None
        self.is_many = False
        # Of a list that holds no files, or of an object: what the value must be.
        self.container: Optional[type] = None
        self.item: Optional[Input] = None
        self.is_nullable = False
        self.limits: Dict[str, Any] = {}
        self._read_annotation(annotation)
        self._read_default(default)

    def describe(self) -> Dict[str, Any]:
        """The input as the protocol tells it to the host."""
        told: Dict[str, Any] = {"type": self.type, "required": self.default is _ABSENT}
        if self.default is not _ABSENT:
            told["default"] = _jsonable(self.default)
        for key in ("description", "ge", "le", "choices"):
            if self.limits.get(key) is not None:
                told[key] = _jsonable(self.limits[key])
        return told

    def _read_annotation(self, annotation: Any) -> None:
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        # Annotated[X, …] carries its limits behind X.
        for extra in getattr(annotation, "__metadata__", ()):
            self._read_limits(extra)
        if hasattr(annotation, "__metadata__"):
            return self._read_annotation(annotation.__origin__)
        # `X | None` has an origin of its own since Python 3.10.
        if origin is Union or getattr(origin, "__name__", "") == "UnionType":
            members = [member for member in args if member is not type(None)]
            self.is_nullable = len(members) < len(args)
            return self._read_annotation(members[0]) if len(members) == 1 else None
        if origin is typing.Literal:
            self.limits["choices"] = list(args)
            kinds = {type(choice) for choice in args}
            return self._read_annotation(kinds.pop()) if len(kinds) == 1 else None
        if origin is list and args and _is_file_type(args[0]):
            self.python_type, self.is_many = args[0], True
        elif origin in (list, dict) or annotation in (list, dict):
            self.container = origin or annotation
            if self.container is list and args:
                self.item = Input(self.name, args[0], inspect.Parameter.empty)
        elif _is_file_type(annotation):
            self.type, self.python_type = "path", annotation
        elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            self.python_type = annotation
            self.limits["choices"] = [member.value for member in annotation]
            self._read_annotation(type(self.limits["choices"][0]))
        elif annotation in (str, int, float, bool):
            self.type = annotation.__name__
        return None

    def _read_default(self, default: Any) -> None:
        if default is inspect.Parameter.empty:
            self.default = None if self.is_nullable else _ABSENT
        elif not _is_input_info(default):
            self.default = default
        else:
            self._read_limits(default)
            for extra in getattr(default, "metadata", None) or ():
                self._read_limits(extra)
            stated = getattr(default, "default", _ABSENT)
            undefined = stated is Ellipsis or "Undefined" in type(stated).__name__
            self.default = _ABSENT if undefined else stated
            if self.default is _ABSENT and self.is_nullable:
                self.default = None
        # cog's own idiom: a default of None makes the input optional.
        self.is_nullable = self.is_nullable or self.default is None

    def _read_limits(self, said: Any) -> None:
        for key in _LIMITS:
            value = getattr(said, key, None)
            if value is not None and not callable(value):
                self.limits[key] = value

    def check(self, value: Any) -> Any:
        """The value as predict gets it. Raises InputError."""
        if value is None and self.is_nullable:
            return None
        value = self._converted(value)
        self._check_limits(value)
        is_enum = isinstance(self.python_type, type) and issubclass(self.python_type, enum.Enum)
        return self.python_type(value) if is_enum else value

    def _converted(self, value: Any) -> Any:
        if self.type == "path" or self.is_many:
            # Who may send values must not be able to name any file of this machine.
            raise InputError("{} is a file: give it under files".format(self.name))
        if self.type == "int" and _is_number(value) and value == int(value):
            return int(value)
        if self.type == "float" and _is_number(value) and abs(value) <= sys.float_info.max:
            return float(value)
        if self.type == "bool" and isinstance(value, bool):
            return value
        if self.type == "str" and isinstance(value, str):
            return value
        if self.type == "json":
            return self._contained(value)
        raise InputError(
            "{} must be {}, not {}".format(self.name, _WORDS[self.type], _shortened(value))
        )

    def _contained(self, value: Any) -> Any:
        if self.container is not None and not isinstance(value, self.container):
            raise InputError(
                "{} must be {}, not {}".format(
                    self.name, "a list" if self.container is list else "an object", _shortened(value)
                )
            )
        if self.item is None:
            return value
        checked = []
        for index, item in enumerate(value):
            self.item.name = "{}[{}]".format(self.name, index)
            checked.append(self.item.check(item))
        return checked

    def _check_limits(self, value: Any) -> None:
        limits, shown = self.limits, _shortened(value)
        choices = limits.get("choices")
        if choices is not None and value not in choices:
            listed = ", ".join(_shortened(choice) for choice in choices)
            raise InputError("{} must be one of {}, not {}".format(self.name, listed, shown))
        if self.type in ("int", "float"):
            # Not `value < ge`: NaN compares false with everything and must not pass.
            if limits.get("ge") is not None and not value >= limits["ge"]:
                raise InputError(
                    "{} must be at least {}, not {}".format(self.name, limits["ge"], shown)
                )
            if limits.get("le") is not None and not value <= limits["le"]:
                raise InputError(
                    "{} must be at most {}, not {}".format(self.name, limits["le"], shown)
                )
        if self.type == "str":
            self._check_text(value)

    def _check_text(self, value: str) -> None:
        least, most = self.limits.get("min_length"), self.limits.get("max_length")
        if least is not None and len(value) < least:
            raise InputError("{} must have at least {} characters".format(self.name, least))
        if most is not None and len(value) > most:
            raise InputError("{} must have at most {} characters".format(self.name, most))
        pattern = self.limits.get("regex")
        if pattern is not None and not re.match(pattern, value):
            raise InputError("{} must match {}".format(self.name, pattern))

    def open_files(self, given: Any) -> Any:
        """The file or files as predict gets them. Raises InputError."""
        if self.is_many:
            paths = given if isinstance(given, list) else [given]
            return [self._opened(path) for path in paths]
        if self.type != "path":
            raise InputError("{} is not a file: give it under inputs".format(self.name))
        return self._opened(given)

    def _opened(self, path: Any) -> Any:
        if not isinstance(path, str):
            raise InputError("{} must be the path of a file".format(self.name))
        if not pathlib.Path(path).exists():
            raise InputError("{}: the file {} does not exist".format(self.name, path))
        if issubclass(self.python_type, io.IOBase):
            return open(path, "rb")
        return self.python_type(path)


def read_inputs(predict: Callable[..., Any]) -> Dict[str, Input]:
    """The inputs of a bound `predict`. Raises TypeError for `*args`."""
    try:
        hints = typing.get_type_hints(predict)
        if hasattr(typing, "Annotated"):
            hints = typing.get_type_hints(predict, include_extras=True)
    except NameError:
        # A type that is only imported for type checkers: those inputs pass as they are.
        hints = {}
    inputs = {}
    for name, parameter in inspect.signature(predict).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise TypeError("predict must take its inputs by name; {} has none".format(name))
        annotation = hints.get(name, parameter.annotation)
        inputs[name] = Input(name, annotation, parameter.default)
    return inputs


def check_inputs(
    inputs: Mapping[str, Input], values: Mapping[str, Any], files: Mapping[str, Any]
) -> Dict[str, Any]:
    """The keywords for predict. Raises InputError for the first thing that does not fit."""
    unknown = [name for name in [*values, *files] if name not in inputs]
    if unknown:
        known = ", ".join(inputs) or "none"
        raise InputError("unknown input {}; known are: {}".format(", ".join(unknown), known))
    checked = {}
    for name, described in inputs.items():
        if name in files:
            checked[name] = described.open_files(files[name])
        elif name in values:
            checked[name] = described.check(values[name])
        elif described.default is not _ABSENT:
            checked[name] = described.default
        else:
            raise InputError("the input {} is missing".format(name))
    return checked


def _is_number(value: Any) -> bool:
    """True and NaN are none. A whole number may be larger than any float."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_file_type(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, (pathlib.PurePath, io.IOBase))


def _is_input_info(default: Any) -> bool:
    """Of this package's stand-in, of cog, or of pydantic, which cog is made of."""
    return type(default).__name__ in ("InputInfo", "FieldInfo") and hasattr(default, "description")


def _jsonable(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _jsonable(value.value)
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
