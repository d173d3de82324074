"""What stands in the place of the palette for somebody who may only look: the flows of the workspace."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from storage.flows import FlowRow
from ui.kit.parts import tile, words
from ui.kit.text import _


def flow_list(flows: Sequence[FlowRow], current: str) -> ui.element:
    """Draws a link to each flow; `current` is the id of the flow that is open."""
    with ui.element("nav").classes("fp-pal fp-pal--flows") as panel:
        panel.props["aria-label"] = _("Flows")
        words(_("Flows"), tag="h2")
        for flow in flows:
            with ui.element("a").classes("fp-pi") as item:
                item.props["href"] = f"/playground/{flow.id}"
                if flow.id == current:
                    item.props["aria-current"] = "page"
                tile("io", "account_tree", small=True)
                with ui.element("span").classes("fp-pi-text"):
                    words(flow.title, "fp-cut")
                    state = _("Live") if flow.live_version else _("Draft")
                    words(state, "fp-pi-line")
    return panel
