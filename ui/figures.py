"""Tiles with the numbers that matter: requests, success, times, cost."""

from __future__ import annotations

from nicegui import ui

from storage.monitoring import Figures
from ui.parts import words
from ui.text import _, duration, number, percent
from ui.times import Times


def figure_tiles(figures: Figures, times: Times) -> None:
    """Five tiles."""
    reader = times.reader
    tiles = (
        (number(figures.requests, reader), _("requests")),
        ("" if figures.success is None else percent(figures.success, reader), _("success")),
        (duration(_seconds(figures.p50_ms), reader), _("half are done in")),
        (duration(_seconds(figures.p95_ms), reader), _("95 of 100 are done in")),
        (times.cost(figures.cost_nanos), _("cost")),
    )
    with ui.element("div").classes("fp-tiles"):
        for value, name in tiles:
            with ui.element("div").classes("fp-card fp-tile"):
                words(value or "–", tag="b")
                words(name)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
