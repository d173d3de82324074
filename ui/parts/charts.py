"""Every chart of the product as plain dicts for Plotly, and the sparkline of tables.

    chart(ranking([Rank("Unknown field", 11, "refused", AMBER, "11")]), "Errors by kind")
                                        the element; its `.update_figure(...)` redraws it
    chart(waterfall(bars), "Steps", on_pick)    when each step ran
    sparkline([3, 5, 1])                a small line, drawn without Plotly
    plain(text)                         untrusted text, escaped for Plotly

Colours are CSS variables (`var(--fp-c1)`). `assets/plotly` resolves them in the browser, again when the theme changes.
A trace has at most 300 points. Charts over time are in `ui/monitoring/charts_over_time.py`.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from nicegui import ui
from nicegui.dependencies import register_importmap_override

from ui.kit.assets import asset_url
from ui.kit.text import ENGLISH, Reader, _, duration

OK, BAD, RUNNING, QUIET = "var(--fp-ok)", "var(--fp-bad)", "var(--fp-accent)", "var(--fp-line-strong)"
BLUE, TEAL, RED, AMBER, PURPLE = (f"var(--fp-c{number})" for number in range(1, 6))
TEXT, TEXT_2, TEXT_3, LINE = "var(--fp-text)", "var(--fp-text-2)", "var(--fp-text-3)", "var(--fp-c-grid)"
CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}
_MOST = 300
#: Height of a chart in a card, in pixels.
HEIGHT = 204

# Replaces NiceGUI's Plotly by a bundle with bars and lines only, which is half the size and has no map library.
register_importmap_override("nicegui-plotly", asset_url("plotly/flowport_plotly.js"))


class WaterfallBar(Struct, frozen=True):
    """One line of a waterfall, in milliseconds from the job's start.

    `state` is done, failed, running or stopped; "" draws no bar.
    """

    label: str
    begin_ms: float
    length_ms: float
    state: str
    note: str


_BAR_COLOURS = {"done": OK, "failed": BAD, "running": RUNNING, "stopped": QUIET}


def waterfall(bars: Sequence[WaterfallBar]) -> dict[str, Any]:
    """A figure that shows when each step ran and for how long, the first one on top. The page writes the names, as
    links, into its left margin.
    """
    shown = list(bars[:_MOST])
    longest = max((bar.begin_ms + bar.length_ms for bar in shown), default=1) / 1000 or 1
    places = list(range(len(shown)))
    return {
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
            **plot_layout(height=44 + 28 * max(len(shown), 1)),
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
                {**_beside(place, bar.note), "x": 1, "xanchor": "right", "xshift": 78}
                for place, bar in zip(places, shown, strict=True)
            ],
        },
        "config": CONFIG,
    }


class Rank(Struct, frozen=True):
    """One bar of a ranking: its name, its length, its kind, its colour, and the text at its end."""

    name: str
    count: int
    kind: str
    colour: str
    words: str


def chart(figure: dict[str, Any], label: str, on_pick: Callable[[int], Any] | None = None) -> ui.plotly:
    """Draws a figure, which has its height before the browser has drawn it. `on_pick(number)` is called when one of its
    bars is clicked.
    """
    element = ui.plotly(figure).classes("fp-chart").style(f"min-height: {figure['layout']['height']}px")
    element.props("role=img")
    element.props["aria-label"] = label
    if on_pick is not None:
        element.classes("fp-chart--pick")
        element.on("plotly_click", lambda event: on_pick(int(event.args["points"][0]["pointIndex"])))
    return element


def ranking(ranks: Sequence[Rank]) -> dict[str, Any]:
    """A figure of horizontal bars, the longest on top, each with its name above and its count at the end."""
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
            **plot_layout(height=max(HEIGHT, 12 + 40 * len(shown))),
            "margin": {"l": 4, "r": 8, "t": 12, "b": 0},
            "xaxis": {"range": [0, longest * 1.3], "visible": False, "fixedrange": True},
            "yaxis": {"range": [max(len(shown), 5) - 0.6, -0.55], "visible": False, "fixedrange": True},
            "annotations": annotations,
        },
        "config": CONFIG,
    }


def sparkline(counts: Sequence[int], *, quiet: bool = False, said: str = "") -> ui.element:
    """A small line of counts, the newest at the right end."""
    highest = max(counts) or 1
    step = 90 / max(len(counts) - 1, 1)
    points = [(2 + at * step, 20 - 16 * count / highest) for at, count in enumerate(counts)]
    with ui.element("svg").props('width=96 height=24 viewBox="0 0 96 24" fill=none role=img') as drawing:
        drawing.classes("fp-spark fp-spark--quiet" if quiet else "fp-spark")
        drawing.props["aria-label"] = said or _("{counts} calls in 7 days").format(counts=sum(counts))
        line = ui.element("path").props("stroke=currentColor stroke-width=1.75 stroke-linejoin=round")
        line.props["d"] = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        end = ui.element("circle").props("r=2.4 fill=currentColor")
        end.props["cx"], end.props["cy"] = f"{points[-1][0]:.1f}", f"{points[-1][1]:.1f}"
    return drawing


def length_note(milliseconds: float | None, reader: Reader = ENGLISH) -> str:
    """The text at the end of a bar."""
    return duration(None if milliseconds is None else milliseconds / 1000, reader)


def plot_layout(*, height: int) -> dict[str, Any]:
    """The layout that all charts share."""
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
    """Escapes a text for Plotly, which interprets tags and entities in labels."""
    return html.escape(" ".join(label.split()), quote=False)


def _beside(place: int, text: str) -> dict[str, Any]:
    """An annotation at the end of a bar's line."""
    return {"y": place, "text": text, "xref": "paper", "showarrow": False}
