"""The row of saved samples above the input: choose, previous and next, save, rename, overwrite, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.contract import samples_of
from engine.flow.document import Document
from engine.flow.edits import Op
from ui.kit import feedback
from ui.kit.ask import ask_text
from ui.kit.parts import icon_button, menu_button, menu_item, words
from ui.kit.text import _
from ui.parts.open_drafts import Edit
from ui.playground.run.samples import (
    Sample,
    add_sample,
    delete_sample,
    free_title,
    overwrite_sample,
    payload_of,
    place_now,
    rename_sample,
    title_of,
)


class SampleRow:
    """Drawn into the current container and redrawn after each edit.

    `chosen` is the index of the sample that the input came from, None when it came from none. `around` is an element
    that stays when the row is removed, so that messages can still be shown. `ready` is false, and shows why, while something
    typed cannot be read: it would not be in the sample.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        chosen: int | None,
        *,
        around: ui.element,
        document: Callable[[], Document],
        payload: Callable[[], dict[str, Any]],
        ready: Callable[[], bool],
        on_choose: Callable[[int | None], None],
        on_run_all: Callable[[], Awaitable[None]] | None,
        edit: Edit | None,
    ) -> None:
        self.samples = samples
        self.chosen = chosen
        self.around = around
        self.document = document
        self.payload = payload
        self.ready = ready
        self.on_choose = on_choose
        self.edit = edit
        if samples:
            with ui.element("div").classes("fp-lab"):
                words(_("Sample"))
                words("", "fp-sp")
                self.place = words("", "fp-t3 fp-num").props("role=status")
            self._draw_choice()
        with ui.element("div").classes("fp-row fp-sample-acts"):
            if len(samples) > 1:
                self._draw_neighbours()
                if on_run_all is not None:
                    icon_button("playlist_play", _("Run all samples"), on_run_all)
            if not samples:
                words(_("No sample kept yet"), "fp-t3 fp-s12 fp-sample-none")
            words("", "fp-sp")
            if edit is not None:
                icon_button("bookmark_add", _("Keep this input as a sample"), self._keep)
                if samples:
                    self._draw_menu()
        self.mark()

    def mark(self) -> None:
        """Shows which sample the input came from, and whether the input was changed since."""
        if not self.samples:
            return
        said = _("your own input") if self.payload() else _("none")
        if self.chosen is not None:
            said = _("{chosen} of {count}").format(chosen=self.chosen + 1, count=len(self.samples))
            if payload_of(self.samples[self.chosen]) != self.payload():
                said += f", {_('changed')}"
        self.place.text = said

    def _draw_choice(self) -> None:
        names = {place: title_of(sample, place) for place, sample in enumerate(self.samples)}
        choice = ui.select(names, value=self.chosen, on_change=lambda event: self.on_choose(event.value))
        choice.props("outlined dense options-dense").classes("w-full")
        choice.props["aria-label"] = _("Sample")

    def _draw_neighbours(self) -> None:
        at, last = self.chosen, len(self.samples) - 1
        before = icon_button("chevron_left", _("Sample before"), lambda: self.on_choose((at or 0) - 1))
        before.set_enabled(at is not None and at > 0)
        after = icon_button("chevron_right", _("Next sample"), lambda: self.on_choose(0 if at is None else at + 1))
        after.set_enabled(at is None or at < last)

    def _draw_menu(self) -> None:
        with menu_button(_("More for this sample")):
            if self.chosen is None:
                words(_("Choose a sample first."), "fp-person", tag="p")
                return
            menu_item(_("Rename this sample"), self._rename, icon="edit")
            menu_item(_("Overwrite with this input"), self._overwrite, icon="save")
            menu_item(_("Delete this sample"), self._delete, icon="delete", danger=True)

    async def _keep(self) -> None:
        if not self.ready():
            return
        title = await ask_text(_("Keep this input"), _("Title"), free_title(self.samples), _("Keep"))
        if title and await self._edited(add_sample(self.document(), title, self.payload())):
            self.on_choose(len(self.samples))

    async def _rename(self) -> None:
        assert self.chosen is not None
        title = await ask_text(
            _("Rename the sample"), _("Title"), title_of(self.samples[self.chosen], self.chosen), _("Rename")
        )
        if title and (place := self._place()) is not None:
            await self._edited(rename_sample(self.document(), place, title))

    async def _overwrite(self) -> None:
        assert self.chosen is not None
        if not self.ready() or (place := self._place()) is None:
            return
        if await self._edited(overwrite_sample(self.document(), place, self.payload())):
            with self.around:
                feedback.told(
                    _("{title} holds this input now.").format(title=title_of(self.samples[self.chosen], self.chosen))
                )

    async def _delete(self) -> None:
        assert self.chosen is not None
        if (place := self._place()) is None:
            return
        gone = title_of(self.samples[self.chosen], self.chosen)
        if await self._edited(delete_sample(self.document(), place)):
            self.on_choose(None)
            with self.around:
                feedback.told(_("{gone} is deleted.").format(gone=gone), _("Undo on the canvas brings it back."))

    def _place(self) -> int | None:
        """Returns where the chosen sample is in the draft now. Tells when somebody else has deleted it meanwhile."""
        assert self.chosen is not None
        place = place_now(self.samples, self.chosen, samples_of(self.document()))
        if place is None:
            gone = title_of(self.samples[self.chosen], self.chosen)
            with self.around:
                feedback.told(
                    _("{gone} was deleted meanwhile.").format(gone=gone),
                    _("Keep this input as a sample to have it again."),
                )
        return place

    async def _edited(self, ops: list[Op]) -> bool:
        return self.edit is not None and bool(ops) and bool(await self.edit(ops))
