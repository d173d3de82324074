"""Hides installed packages from modules that import them if they are there and do without them otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from typing import Any, cast


@contextlib.contextmanager
def hidden(*names: str) -> Generator[None]:
    """Inside, importing one of these modules fails as if it were not installed; afterwards it is imported as usual.

    A module that is imported already stays visible. Other threads must import nothing meanwhile.
    """
    absent = [name for name in names if name not in sys.modules]
    modules = cast("dict[str, Any]", sys.modules)
    modules.update(dict.fromkeys(absent))  # None in place of a module makes its import raise ImportError
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
