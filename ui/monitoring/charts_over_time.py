"""Charts over time, stacked bars and lines, as plain dicts for Plotly.

    stacked_bars(axis, series, scale)               lines(axis, series, scale, limit=(20, "Limit 20"))
    scale(highest, words, whole=True)               a value axis from 0 with three to five lines

The name of a series is written at its end, so there is no legend. `ui.parts.charts.chart` draws the dicts.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ui.parts.charts import AMBER, CONFIG, HEIGHT, LINE, QUIET, TEAL, TEXT_2, TEXT_3, plain, plot_layout

_TOP, _BOTTOM, _LEFT, _RIGHT = 12, 26, 48, 92
_LINE_HEIGHT = 15
#: Colour of a bar -> colour of its name. The colours of these bars are too light for text.
_AS_TEXT = {TEAL: "var(--fp-g-web)", AMBER: "var(--fp-warn)", QUIET: TEXT_2}


class TimeAxis(Struct, frozen=True):
    """Slots on a time axis, in milliseconds.

    `starts`: where each slot begins; `step`: its length; `ticks`: the labels below the axis; `since`: the left end.
    """

    starts: Sequence[int]
    step: int
    ticks: Sequence[tuple[int, str]]
    since: int


class Series(Struct, frozen=True):
    """One value for each slot (None: unknown), with the texts of its tooltips in `said`."""

    name: str
    colour: str
    values: Sequence[float | None]
    said: Sequence[str]
    dashed: bool = False


class Scale(Struct, frozen=True):
    """A value axis from 0 to `top`, with a label for each tick."""

    top: float
    ticks: Sequence[tuple[float, str]]


def scale(highest: float, words: Callable[[float], str], *, whole: bool = False, steps: Sequence[float] = ()) -> Scale:
    """Returns an axis of about four round steps that reaches the highest value.

    `words` writes the value of a step. `steps` are preferred steps; without a fitting one a step is 1, 2, 5 or 10 times a power of ten.
    """
    rough = max(highest, 4 if whole else 1e-9) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(one for one in (*steps, power, 2 * power, 5 * power, 10 * power) if one >= rough * 0.999)
    if whole:
        step = max(1, round(step))
    count = max(1, math.ceil(highest / step - 1e-9))
    return Scale(step * count * 1.02, [(at * step, words(at * step)) for at in range(count + 1)])


def stacked_bars(axis: TimeAxis, series: Sequence[Series], values: Scale) -> dict[str, Any]:
    """Stacked bars, the first series at the bottom."""
    middles = [start + axis.step / 2 for start in axis.starts]
    data = [
        {
            "type": "bar",
            "x": middles,
            "y": [value or 0 for value in one.values],
            "width": axis.step * 0.85,
            "marker": {"color": one.colour},
            "hovertext": [plain(text) for text in one.said],
            "hoverinfo": "text",
        }
        for one in series
    ]
    ends: list[tuple[float, str, str]] = []
    at = _last_filled(series)
    height = 0.0
    for one in series:
        value = one.values[at] or 0
        ends.append((height + value / 2, one.name, one.colour))
        height += value
    layout = {**_time_layout(axis, values), "barmode": "stack", "annotations": _names(ends, values)}
    return {"data": data, "layout": layout, "config": CONFIG}


def lines(
    axis: TimeAxis,
    series: Sequence[Series],
    values: Scale,
    *,
    limit: tuple[float, str] | None = None,
    steps: bool = False,
) -> dict[str, Any]:
    """Lines with a dot at their ends.

    `limit` is a horizontal line with its label; `steps` connects points by steps instead of slopes.
    """
    middles = [start + axis.step / 2 for start in axis.starts]
    data: list[dict[str, Any]] = []
    ends: list[tuple[float, str, str]] = []
    for one in series:
        known = [place for place, value in enumerate(one.values) if value is not None]
        last = known[-1] if known else -1
        alone = {place for place in known if place - 1 not in known and place + 1 not in known}
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": middles,
                "y": list(one.values),
                "line": {
                    "color": one.colour,
                    "width": 2,
                    "dash": "6px,4px" if one.dashed else "solid",
                    "shape": "hvh" if steps else "linear",
                },
                "marker": {
                    "color": one.colour,
                    "opacity": 1,
                    "line": {"width": 0},
                    "size": [6 if place == last or place in alone else 0 for place in range(len(one.values))],
                },
                "hovertext": [plain(text) for text in one.said],
                "hoverinfo": "text",
                "cliponaxis": False,
            }
        )
        if known:
            ends.append((one.values[last] or 0, one.name, one.colour))
    layout = _time_layout(axis, values)
    if limit is not None:
        height, words = limit
        layout["shapes"] = [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": height,
                "y1": height,
                "line": {"color": "var(--fp-warn)", "width": 1.5, "dash": "3px,3px"},
            }
        ]
        ends.append((height, words, "var(--fp-warn)"))
    return {"data": data, "layout": {**layout, "annotations": _names(ends, values)}, "config": CONFIG}


def _time_layout(axis: TimeAxis, values: Scale) -> dict[str, Any]:
    still = {"fixedrange": True, "zeroline": False, "ticks": "", "tickangle": 0, "tickfont": {"color": TEXT_3}}
    return {
        **plot_layout(height=HEIGHT),
        "margin": {
            "l": max(_LEFT, 8 * max(len(text) for _at, text in values.ticks)),
            "r": _RIGHT,
            "t": _TOP,
            "b": _BOTTOM,
        },
        "xaxis": {
            **still,
            "type": "linear",
            "range": [axis.since, axis.starts[-1] + axis.step],
            "showgrid": False,
            "tickvals": [at for at, _text in axis.ticks],
            "ticktext": [text for _at, text in axis.ticks],
        },
        "yaxis": {
            **still,
            "range": [0, values.top],
            "gridcolor": LINE,
            "tickvals": [at for at, _text in values.ticks],
            "ticktext": [text for _at, text in values.ticks],
            "ticklabelstandoff": 6,
        },
    }


def _last_filled(series: Sequence[Series]) -> int:
    """The last slot that has a bar, or 0 when there is none."""
    filled = [at for one in series for at, value in enumerate(one.values) if value]
    return max(filled, default=0)


def _names(ends: Sequence[tuple[float, str, str]], values: Scale) -> list[dict[str, Any]]:
    """Places the (value, name, colour) of each series at its end, moved apart where names would overlap."""
    inner = HEIGHT - _TOP - _BOTTOM
    wrapped = [(value, _wrapped(name), colour) for value, name, colour in sorted(ends, key=lambda end: end[0])]
    middles: list[float] = []  # in pixels from the bottom
    free = 0.0
    for value, rows, _colour in wrapped:
        half = _LINE_HEIGHT * len(rows) / 2
        middle = max(value / values.top * inner, free + half)
        middles.append(middle)
        free = middle + half
    ceiling = inner + 8.0
    for at in reversed(range(len(wrapped))):  # names that were pushed above the top move down
        half = _LINE_HEIGHT * len(wrapped[at][1]) / 2
        middles[at] = min(middles[at], ceiling - half)
        ceiling = middles[at] - half
    return [
        {
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 8,
            "y": middle / inner,
            "yref": "paper",
            "yanchor": "middle",
            "align": "left",
            "text": "<br>".join(f"<b>{plain(row)}</b>" for row in rows),
            "font": {"size": 12, "color": _AS_TEXT.get(colour, colour)},
            "showarrow": False,
            "borderpad": 0,
        }
        for (_value, rows, colour), middle in zip(wrapped, middles, strict=True)
    ]


def _wrapped(name: str) -> list[str]:
    """Wraps a name into at most two lines that fit beside the chart."""
    rows = textwrap.wrap(name, 13) or [""]
    return rows if len(rows) <= 2 else [rows[0], f"{rows[1][:12]}…"]
