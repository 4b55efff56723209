"""Report tqdm's outermost bar as progress of the job, without importing tqdm.

A finder in `sys.meta_path` waits for the import of `tqdm.std` and adds to two methods there.
"""

import functools
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any, Optional

from defib import _notify


def install() -> None:
    """Watch for tqdm, or patch it where it is there already."""
    if "tqdm.std" in sys.modules:
        _patch(sys.modules["tqdm.std"])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Optional[ModuleSpec]:
        if fullname != "tqdm.std":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch(module: Any) -> None:
    bar_type = module.tqdm
    update, close = bar_type.update, bar_type.close

    @functools.wraps(update)
    def reporting_update(bar: Any, n: Any = 1) -> Any:
        displayed = update(bar, n)
        _report(bar)
        return displayed

    @functools.wraps(close)
    def reporting_close(bar: Any) -> Any:
        # tqdm skips updates that come too fast, so the last figure is known only here.
        _report(bar)
        return close(bar)

    bar_type.update, bar_type.close = reporting_update, reporting_close


def _report(bar: Any) -> None:
    """Tell the figures of the outermost bar. tqdm numbers its bars from 0, downwards."""
    if getattr(bar, "disable", True) or getattr(bar, "pos", None) != 0:
        return
    _notify.progress(bar.n, bar.total, (getattr(bar, "desc", "") or "").rstrip(": ") or None)
