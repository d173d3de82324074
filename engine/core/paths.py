"""The folders of the program's own files, in a checkout or an image, whatever the working directory is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
ASSETS: Final = PROJECT / "assets"
