"""Builds and loads the resampling kernel."""
import ctypes
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def build() -> pathlib.Path:
    recipe = json.loads((HERE / "build.json").read_text())
    target = HERE / recipe["output"]
    if not target.exists():
        subprocess.run(["cc", *recipe["flags"], "-o", str(target), str(HERE / recipe["source"])], check=True)
    return target


def load(path: pathlib.Path):
    library = ctypes.CDLL(str(path))
    library.resample_line.restype = ctypes.c_int
    return library
