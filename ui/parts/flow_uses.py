"""Which flows use a dataset, a collection or another flow: counted in a list, and asked about before it is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from storage.flow_uses import FlowUse
from ui.kit import feedback
from ui.kit.text import Reader, _, number, plural


def uses_word(uses: Sequence[FlowUse], reader: Reader) -> str:
    """Counts the flows that use it: `3 flows, 1 live`."""
    if not uses:
        return _("no flow yet")
    live = sum(use.live for use in uses)
    flows = plural(len(uses), _("flow"), _("flows"), reader)
    return _("{flows}, {live} live").format(flows=flows, live=number(live, reader)) if live else flows


async def confirm_delete(name: str, lost: str, uses: Sequence[FlowUse], *, typed: bool = False) -> bool:
    """Asks whether to delete it, by typing its name when flows use it, or in any case with `typed`. `lost`: a sentence
    that says what is gone then.
    """
    titles = ", ".join(use.title for use in uses[:5])
    if len(uses) > 5:
        titles = _("{titles} and more").format(titles=titles)
    used = plural(len(uses), _("flow uses it"), _("flows use it"))
    return await feedback.confirm(
        _("Delete {name}?").format(name=name),
        lost,
        verb=_("Delete"),
        danger=True,
        keep=_("Keep it"),
        note_text=_("{used}: {titles}. The steps that use it fail from then on.").format(used=used, titles=titles)
        if uses
        else "",
        typed=name if uses or typed else "",
    )
