# ruff: noqa: INP001 - a script, not a package
"""Builds the flow canvas: `build_canvas.py` writes the bundle, `build_canvas.py --check` verifies the committed one.

Needs Node 20.19 or later; only people who change the canvas need it. The first line of the bundle carries a hash of all
its inputs, so that a fast test detects changed sources without a new bundle.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CANVAS = Path(__file__).resolve().parent.parent / "assets" / "canvas"
BUNDLE = "flow_canvas.js"
MADE_FROM = ("package.json", "package-lock.json", "vite.config.mjs")
MARK = "/* Flowport canvas, made from sources sha256:"


def sources_hash(canvas: Path = CANVAS) -> str:
    """Returns the SHA-256 over names and contents of the sources, the lock file and the build settings.

    Line endings are normalised, because they depend on the checkout.
    """
    files = sorted((canvas / "src").rglob("*")) + [canvas / name for name in MADE_FROM]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            content = file.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{file.relative_to(canvas).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def marked_hash(bundle: Path = CANVAS / "dist" / BUNDLE) -> str:
    """Returns the hash in the bundle's first line; "" when there is none."""
    with bundle.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.removeprefix(MARK).split(" ")[0].strip() if first.startswith(MARK) else ""


def build(canvas: Path) -> None:
    """Runs `npm ci` and `vite build` in this folder and writes the hash into the bundle."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("Node is missing: building the canvas needs Node 20.19 or later with npm. Running Flowport does not.")
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build", "--silent"]):
        subprocess.run([npm, *command], cwd=canvas, check=True)  # noqa: S603 - a fixed command line
    bundle = canvas / "dist" / BUNDLE
    head = f"{MARK}{sources_hash(canvas)} by scripts/build_canvas.py; licences in licences.txt */\n"
    bundle.write_bytes(head.encode() + bundle.read_bytes())


def check() -> None:
    """Builds in a temporary folder and exits with an error unless every file of `dist` is byte for byte identical."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "canvas"
        shutil.copytree(CANVAS, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
        build(copy)
        built = {file.name: file.read_bytes() for file in (copy / "dist").iterdir()}
    committed = {file.name: file.read_bytes() for file in (CANVAS / "dist").iterdir()}
    different = sorted(name for name in built.keys() | committed.keys() if built.get(name) != committed.get(name))
    if different:
        sys.exit(f"Not what the sources make: {', '.join(different)}. Run `make canvas` and commit the result.")
    sys.stdout.write("The committed canvas is what its sources make.\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        build(CANVAS)
