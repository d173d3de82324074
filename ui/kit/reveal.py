"""Shows a key or a link once. Done is enabled when it was copied, or when the person says that it is stored safely."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from ui.kit.parts import button, copy_button, environment_badge, icon, words
from ui.kit.scroll import into_view
from ui.kit.text import _


def reveal_once(
    title: str,
    sentence: str,
    value: str,
    on_done: Callable[[], None],
    *,
    copy: str,
    safe: str,
    symbol: str = "key",
    environment: str = "",
    on_kept: Callable[[bool], None] | None = None,
) -> ui.element:
    """Draws the card and scrolls to it. `copy` is the label of its copy button, `safe` the sentence of a box that only the
    person ticks; either is enough. `on_kept` is called with whether one of them was done, each time that this may change.
    """
    with ui.element("section").classes("fp-card fp-reveal") as card:
        card.props["aria-label"] = title
        icon(symbol, "fp-ok", size=20)
        with ui.element("div").classes("fp-grow"):
            with ui.element("div").classes("fp-row"):
                words(title, tag="h2")
                words("", "fp-sp")
                if environment:
                    environment_badge(environment)
            words(sentence, "fp-t2", tag="p")
            with ui.element("div").classes("fp-row fp-reveal-line"):
                words(value, "fp-mono fp-reveal-key", tag="code")
                copied = copy_button(value, copy, kind="main", small=False)
            with ui.element("div").classes("fp-row fp-wrap-row"):
                kept = ui.checkbox(safe)
                words("", "fp-sp")
                why = words(_("Copy it first, or tick the box."), "fp-why")
                done = button(_("Done"), on_done, small=True)
                done.disable()
                done.props["aria-describedby"] = why.html_id
        was_copied = False

        def confirmed() -> None:
            is_kept = was_copied or bool(kept.value)
            why.visible = not is_kept
            done.props["aria-describedby"] = "" if is_kept else why.html_id
            done.set_enabled(is_kept)
            if on_kept is not None:
                on_kept(is_kept)

        def note_copied() -> None:
            nonlocal was_copied
            was_copied = True
            confirmed()

        kept.on_value_change(confirmed)
        copied.on("fpcopied", note_copied, [])
    into_view(card, "center")
    return card
