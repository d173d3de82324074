"""A Python 3 that every user of this machine may run, in place of the base image of `FROM python:3...`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_LEFT_OUT = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "idlelib", "tkinter", "*.a")


def base_image(folder: Path) -> dict[str, str]:
    """Returns an environment whose `python3` any user can run.

    A Python below a home directory is copied into `folder`.
    """
    shims = folder / "base"
    shims.mkdir()
    shims.chmod(0o755)
    for path in (Path(sys.base_prefix) / "bin" / "python3", Path("/usr/bin/python3"), Path("/usr/bin/python3.11")):
        if _serves(path):
            (shims / "python3").symlink_to(path.resolve())
            return {"PATH": f"{shims}:{os.environ['PATH']}"}
    copied = folder / "python"
    shutil.copytree(sys.base_prefix, copied, symlinks=True, ignore=_LEFT_OUT)
    return {"PATH": f"{copied / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(copied / "lib")}


def _serves(path: Path) -> bool:
    if not path.exists() or any(not folder.stat().st_mode & 0o001 for folder in path.resolve().parents):
        return False
    asked = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([path, "-c", asked], check=False, capture_output=True).returncode == 0
