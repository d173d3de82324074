"""URLs of the files in `assets/`, which `app.py` serves under `/assets`.

asset_url("theme.css")      "/assets/theme.css?v=3f2a..."

The version in the URL changes with the file, so that browsers may cache each URL without a time limit.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from engine.core.paths import ASSETS


@lru_cache(maxsize=64)
def asset_url(name: str) -> str:
    """Returns the URL of a file of `assets/`. Raises FileNotFoundError when there is no such file."""
    return f"/assets/{name}?v={hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]}"
