"""The icon fonts in `assets/fonts` hold every icon that the pages can show."""

from __future__ import annotations

import pytest

from scripts.subset_icons import ICONS, SYMBOLS, THEME, icons_in_use, names_in, symbols_in_use

FONTS = pytest.mark.parametrize(
    ("font", "in_use"), [(SYMBOLS, symbols_in_use), (ICONS, icons_in_use)], ids=["symbols", "icons"]
)


@FONTS
def test_every_icon_in_use_is_in_the_font(font, in_use):
    missing = in_use() - names_in(font.file)
    assert not missing, f"`make icons` adds these to {font.file.name}: {', '.join(sorted(missing))}"


@FONTS
def test_browsers_are_told_when_the_font_changes(font, in_use):
    assert f"url({font.address})" in THEME.read_text(), "`make icons` writes the file's hash into assets/theme.css"


def test_icons_are_found_wherever_they_are_named():
    """In Python, with a prefix in Python and in scripts, in the canvas, and in the icon set of Quasar."""
    assert {"schema", "check_circle", "align_horizontal_left", "travel_explore", "stacks"} <= symbols_in_use()
    assert {"arrow_drop_down", "cancel"} <= icons_in_use()


@FONTS
def test_the_font_is_a_small_part_of_the_whole(font, in_use):
    assert font.file.stat().st_size < font.source.stat().st_size / 10
