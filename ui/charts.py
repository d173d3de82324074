"""Every chart of the product, as plain dicts for Plotly; and the small line in a table.

    chart(stacked_bars(axis, series, scale), "Requests by status") -> the element; `.update_figure(...)` draws it anew
    lines(axis, series, scale, limit=(20, "Limit 20"))         ranking([Rank("Unknown field", 11, "refused", AMBER)])
    scale(highest, words, whole=True)                           a value axis from 0 with three or four lines
    plain(text)                                                 anybody's text, safe to be shown by Plotly

Colours are tokens of the look (`var(--fp-c1)`): our `assets/plotly` reads them from the page, again when its theme changes. At most
300 points a trace. Series are named at their ends, so there is no legend.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.dependencies import register_importmap_override

from ui.assets import asset_url
from ui.text import ENGLISH, Reader, _, duration

OK, BAD, RUNNING, QUIET = "var(--fp-ok)", "var(--fp-bad)", "var(--fp-accent)", "var(--fp-line-strong)"
BLUE, TEAL, RED, AMBER, PURPLE = (f"var(--fp-c{number})" for number in range(1, 6))
TEXT, TEXT_2, TEXT_3, LINE = "var(--fp-text)", "var(--fp-text-2)", "var(--fp-text-3)", "var(--fp-c-grid)"
#: What a colour of a bar is called by when it stands as text: these two are too light for letters.
_AS_TEXT = {TEAL: "var(--fp-g-web)", AMBER: "var(--fp-warn)", QUIET: TEXT_2}
_CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}
_MOST = 300

# The bundle with bars and lines only: half the bytes, and without a map library.
register_importmap_override("nicegui-plotly", asset_url("plotly/flowport_plotly.js"))


@dataclass(frozen=True)
class Bar:
    """One line of a waterfall, in milliseconds from the job's start.

    `state` is done, failed, running or stopped; "" draws none.
    """

    label: str
    begin_ms: float
    length_ms: float
    state: str
    note: str


_BAR_COLOURS = {"done": OK, "failed": BAD, "running": RUNNING, "stopped": QUIET}


def waterfall(bars: Sequence[Bar], *, label: str, on_pick: Any = None) -> ui.element:
    """When each step ran and for how long, the first one on top; `on_pick(number)` hears of a press on a bar."""
    shown = list(bars[:_MOST])
    longest = max((bar.begin_ms + bar.length_ms for bar in shown), default=1) / 1000 or 1
    names = [_short(bar.label) for bar in shown]
    places = list(range(len(shown)))
    figure = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "base": [bar.begin_ms / 1000 for bar in shown],
                "x": [max(bar.length_ms / 1000, longest / 160) if bar.state else None for bar in shown],
                "y": places,
                "width": 0.5,
                "marker": {"color": [_BAR_COLOURS.get(bar.state, QUIET) for bar in shown], "cornerradius": 4},
                "hovertext": [f"{plain(bar.label)}: {bar.note}" for bar in shown],
                "hoverinfo": "text",
            }
        ],
        "layout": {
            **_layout(height=44 + 28 * max(len(shown), 1)),
            "margin": {"l": 176, "r": 84, "t": 30, "b": 6},
            "xaxis": {
                "side": "top",
                "range": [0, longest * 1.02],
                "ticksuffix": " s",
                "nticks": 5,
                "tickangle": 0,
                "gridcolor": LINE,
                "zeroline": False,
                "fixedrange": True,
            },
            "yaxis": {
                "showticklabels": False,
                "range": [len(shown) - 0.5, -0.5],
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
                "ticks": "",
            },
            "annotations": [
                *(
                    {**_beside(place, name), "x": 0, "xanchor": "left", "xshift": -168, "font": {"color": TEXT}}
                    for place, name in zip(places, names, strict=True)
                ),
                *(
                    {**_beside(place, bar.note), "x": 1, "xanchor": "right", "xshift": 78}
                    for place, bar in zip(places, shown, strict=True)
                ),
            ],
        },
        "config": _CONFIG,
    }
    return chart(figure, label, on_pick)


@dataclass(frozen=True)
class TimeAxis:
    """Slots on a time axis, in milliseconds: where each begins, how long it is, what is written below, from where it is shown."""

    starts: Sequence[int]
    step: int
    ticks: Sequence[tuple[int, str]]
    since: int


@dataclass(frozen=True)
class Series:
    """One value for each slot (None: unknown there) with what is said of it when the mouse is over it."""

    name: str
    colour: str
    values: Sequence[float | None]
    said: Sequence[str]
    dashed: bool = False


@dataclass(frozen=True)
class Scale:
    """A value axis from 0 to `top`; each tick with its words."""

    top: float
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Rank:
    """One bar of a ranking: what it is, how much, of what kind."""

    name: str
    count: int
    kind: str
    colour: str
    words: str


_HEIGHT, _TOP, _BOTTOM, _RIGHT = 204, 12, 26, 92
_LINE_HEIGHT = 15


def scale(highest: float, words: Callable[[float], str], *, whole: bool = False, steps: Sequence[float] = ()) -> Scale:
    """Three or four round steps that reach over the highest value; `steps` are those to choose from, 1, 2, 5, 10 without."""
    rough = max(highest, 4 if whole else 1e-9) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(one for one in (*steps, power, 2 * power, 5 * power, 10 * power) if one >= rough * 0.999)
    if whole:
        step = max(1, round(step))
    count = max(1, math.ceil(highest / step - 1e-9))
    return Scale(step * count * 1.02, [(at * step, words(at * step)) for at in range(count + 1)])


def chart(figure: dict[str, Any], label: str, on_pick: Callable[[int], Any] | None = None) -> ui.plotly:
    """Draws a figure; `on_pick(number)` hears of a press on one of its bars."""
    element = ui.plotly(figure).classes("fp-chart")
    element.props("role=img")
    element.props["aria-label"] = label
    if on_pick is not None:
        element.classes("fp-chart--pick")
        element.on("plotly_click", lambda event: on_pick(int(event.args["points"][0]["pointIndex"])))
    return element


def stacked_bars(axis: TimeAxis, series: Sequence[Series], values: Scale) -> dict[str, Any]:
    """Bars on top of each other, the first series at the bottom."""
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
    return {"data": data, "layout": layout, "config": _CONFIG}


def lines(
    axis: TimeAxis,
    series: Sequence[Series],
    values: Scale,
    *,
    limit: tuple[float, str] | None = None,
    steps: bool = False,
) -> dict[str, Any]:
    """Lines with a dot at their ends; `limit` is a straight line with its words, `steps` joins points by stairs."""
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
    return {"data": data, "layout": {**layout, "annotations": _names(ends, values)}, "config": _CONFIG}


def ranking(ranks: Sequence[Rank]) -> dict[str, Any]:
    """Bars from the left, the longest on top, each under its name and with its count at the end."""
    shown = list(ranks[:_MOST])
    longest = max((rank.count for rank in shown), default=1)
    places = list(range(len(shown)))
    annotations: list[dict[str, Any]] = []
    for place, rank in zip(places, shown, strict=True):
        common = {"y": place, "showarrow": False, "xanchor": "left", "borderpad": 0}
        name = {"x": 0, "yshift": 14, "text": plain(rank.name), "font": {"size": 12, "color": TEXT}}
        count = {"x": rank.count, "xshift": 8, "text": f"<b>{plain(rank.words)}</b> {plain(rank.kind)}"}
        annotations += [{**common, **name}, {**common, **count, "font": {"size": 12, "color": TEXT_2}}]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [rank.count for rank in shown],
                "y": places,
                "width": 0.27,
                "marker": {"color": [rank.colour for rank in shown], "cornerradius": 3},
                "hovertext": [plain(f"{rank.name}: {rank.words} {rank.kind}") for rank in shown],
                "hoverinfo": "text",
            }
        ],
        "layout": {
            **_layout(height=max(_HEIGHT, 12 + 40 * len(shown))),
            "margin": {"l": 4, "r": 8, "t": 12, "b": 0},
            "xaxis": {"range": [0, longest * 1.3], "visible": False, "fixedrange": True},
            "yaxis": {"range": [max(len(shown), 5) - 0.6, -0.55], "visible": False, "fixedrange": True},
            "annotations": annotations,
        },
        "config": _CONFIG,
    }


def _time_layout(axis: TimeAxis, values: Scale) -> dict[str, Any]:
    still = {"fixedrange": True, "zeroline": False, "ticks": "", "tickangle": 0, "tickfont": {"color": TEXT_3}}
    return {
        **_layout(height=_HEIGHT),
        "margin": {"l": 48, "r": _RIGHT, "t": _TOP, "b": _BOTTOM},
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
    """The last slot in which a bar stands, 0 when there is none."""
    filled = [at for one in series for at, value in enumerate(one.values) if value]
    return max(filled, default=0)


def _names(ends: Sequence[tuple[float, str, str]], values: Scale) -> list[dict[str, Any]]:
    """(value, name, colour) of each series written at its end, as near as they fit below each other."""
    inner = _HEIGHT - _TOP - _BOTTOM
    wrapped = [(value, _wrapped(name), colour) for value, name, colour in sorted(ends, key=lambda end: end[0])]
    middles: list[float] = []  # in pixels from the bottom
    free = 0.0
    for value, rows, _colour in wrapped:
        half = _LINE_HEIGHT * len(rows) / 2
        middle = max(value / values.top * inner, free + half)
        middles.append(middle)
        free = middle + half
    ceiling = inner + 8.0
    for at in reversed(range(len(wrapped))):  # what was pushed over the top comes down again
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
    """A name in at most two rows that fit beside the drawing."""
    rows = textwrap.wrap(name, 13) or [""]
    return rows if len(rows) <= 2 else [rows[0], f"{rows[1][:12]}…"]


def sparkline(counts: Sequence[int], *, quiet: bool = False, said: str = "") -> ui.element:
    """A small line of counts, the newest at its right end."""
    highest = max(counts) or 1
    step = 90 / max(len(counts) - 1, 1)
    points = [(2 + at * step, 20 - 16 * count / highest) for at, count in enumerate(counts)]
    with ui.element("svg").props('width=96 height=24 viewBox="0 0 96 24" fill=none role=img') as drawing:
        drawing.classes("fp-spark fp-spark--quiet" if quiet else "fp-spark")
        drawing.props["aria-label"] = said or f"{sum(counts)} {_('calls in 7 days')}"
        line = ui.element("path").props("stroke=currentColor stroke-width=1.75 stroke-linejoin=round")
        line.props["d"] = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        end = ui.element("circle").props("r=2.4 fill=currentColor")
        end.props["cx"], end.props["cy"] = f"{points[-1][0]:.1f}", f"{points[-1][1]:.1f}"
    return drawing


def length_note(milliseconds: float | None, reader: Reader = ENGLISH) -> str:
    """What stands at the end of a bar."""
    return duration(None if milliseconds is None else milliseconds / 1000, reader)


def _layout(*, height: int) -> dict[str, Any]:
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter Variable, Inter, sans-serif", "size": 12, "color": TEXT_3},
        "showlegend": False,
        "uirevision": "same",
        "dragmode": False,
        "hoverlabel": {"font": {"family": "Inter Variable, Inter, sans-serif", "size": 12}},
    }


def plain(label: str) -> str:
    """Plotly reads tags and entities in labels: this text is shown as it is."""
    return html.escape(" ".join(label.split()), quote=False)


def _beside(place: int, text: str) -> dict[str, Any]:
    """Words at the end of a bar's line."""
    return {"y": place, "text": text, "xref": "paper", "showarrow": False}


def _short(label: str) -> str:
    """A long label would eat the bars."""
    return plain(label if len(label) <= 24 else f"{label[:23]}…")
