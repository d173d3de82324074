# ruff: noqa: INP001 - a script, not a package
"""Writes the icon fonts of `assets/fonts`: NiceGUI's own with only those icons that the pages can show. Run it with `make icons`.

The rules in `assets/theme.css` name the files with a hash, so that browsers keep them until they change.

An icon is in use when the sources hold its name as a text of its own: `ui` and `engine` in Python, `assets` in JavaScript and Vue,
and the icon set that Quasar's components use. A text that only happens to be the name of an icon adds one icon, about 100 bytes.
`tests/assets/test_icon_fonts.py` compares the names in use with the fonts.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nicegui
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[1]
THEME = ROOT / "assets" / "theme.css"
NICEGUI = Path(nicegui.__file__).parent / "static"
_NAME = re.compile(r"[a-z0-9][a-z0-9_]+")
#: Quasar's way to name an icon of Material Symbols Outlined.
_PREFIXED = re.compile(r"\bsym_o_([a-z0-9_]+)")


@dataclass(frozen=True)
class IconFont:
    """A font of NiceGUI, by the name of its family, and the file that replaces it."""

    family: str
    file: Path

    @property
    def source(self) -> Path:
        """The file that NiceGUI's style sheet names for this family."""
        sheet = (NICEGUI / "fonts.css").read_text(encoding="utf-8")
        found = re.search(rf'font-family: "{self.family}";[^}}]*?url\(([^)]+)\)', sheet)
        if found is None:
            raise SystemExit(f"NiceGUI's fonts.css has no font {self.family}: it was renamed, or is gone")
        return NICEGUI / found[1]

    @property
    def address(self) -> str:
        """The file as `assets/theme.css` names it."""
        return f"fonts/{self.file.name}?v={hashlib.sha256(self.file.read_bytes()).hexdigest()[:12]}"


SYMBOLS = IconFont("Material Symbols Outlined", ROOT / "assets" / "fonts" / "symbols.woff2")
ICONS = IconFont("Material Icons", ROOT / "assets" / "fonts" / "icons.woff2")


@functools.cache
def names_in(file: Path) -> frozenset[str]:
    """The icons of a font: each is a ligature of the letters of its name."""
    with TTFont(file) as font:
        return frozenset(name for _table, _first, _ligature, name in _ligatures(font))


@functools.cache
def symbols_in_use() -> frozenset[str]:
    """The names of Material Symbols that the sources hold."""
    python = [path for folder in ("ui", "engine") for path in (ROOT / folder).rglob("*.py")]
    scripts = [
        path
        for path in (ROOT / "assets").rglob("*")
        if path.suffix in {".js", ".vue", ".html", ".css"} and _is_source(path)
    ]
    words = {word for path in python for word in _python_words(path.read_text(encoding="utf-8"))}
    words |= {word for path in scripts for word in _script_words(path.read_text(encoding="utf-8"))}
    return names_in(SYMBOLS.source) & words


@functools.cache
def icons_in_use() -> frozenset[str]:
    """The names of Material Icons that Quasar's components show: its icon set."""
    script = (NICEGUI / "quasar.umd.js").read_text(encoding="utf-8")
    begin = script.index('name: "material-icons"')
    icon_set = script[begin : script.index("\n  };", begin)]
    return names_in(ICONS.source).intersection(re.findall(r': "([a-z0-9_]+)"', icon_set))


def _is_source(path: Path) -> bool:
    return not {"dist", "plotly", "node_modules"} & set(path.relative_to(ROOT).parts)


def _python_words(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _NAME.fullmatch(node.value):
                yield node.value
            yield from _PREFIXED.findall(node.value)


def _script_words(source: str) -> Iterator[str]:
    """Texts in quotes, those that stand alone between two tags, and names with Quasar's prefix anywhere."""
    yield from _PREFIXED.findall(source)
    yield from re.findall(r"""["'`]([a-z0-9_]+)["'`]""", source)
    yield from re.findall(r">\s*([a-z0-9_]+)\s*<", source)


def _ligatures(font: Any) -> Iterator[tuple[Any, str, Any, str]]:
    """Every ligature with its table, the glyph of its first letter and the text it replaces."""
    letters = {glyph: chr(code) for code, glyph in font.getBestCmap().items()}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for wrapped in lookup.SubTable:
            table = getattr(wrapped, "ExtSubTable", wrapped)
            for first, ligatures in table.ligatures.items():
                for ligature in ligatures:
                    yield table, first, ligature, "".join(letters[glyph] for glyph in (first, *ligature.Component))


def write_subset(font: IconFont, names: frozenset[str]) -> None:
    """Writes the font with these icons only. It is the same font for the same names."""
    options = Options(layout_features=["*"], flavor="woff2", hinting=False, notdef_outline=True, recalc_timestamp=False)
    with TTFont(font.source, recalcTimestamp=False) as full:
        for table, first, ligature, name in list(_ligatures(full)):
            if name not in names:
                table.ligatures[first].remove(ligature)
        subsetter = Subsetter(options)
        subsetter.populate(text="".join(sorted(set("".join(names)))))
        subsetter.subset(full)
        full.flavor = "woff2"
        full.save(font.file)
    sheet = THEME.read_text(encoding="utf-8")
    THEME.write_text(re.sub(rf"fonts/{font.file.name}\?v=\w+", font.address, sheet), encoding="utf-8")


def main() -> int:
    """Writes both fonts and prints how large they are."""
    for font, names in ((SYMBOLS, symbols_in_use()), (ICONS, icons_in_use())):
        write_subset(font, names)
        before, after = font.source.stat().st_size, font.file.stat().st_size
        print(f"{font.family}: {len(names)} icons, {after:,} bytes instead of {before:,}")  # noqa: T201 - what the command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
