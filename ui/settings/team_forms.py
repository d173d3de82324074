"""Forms of the Team page: invite a person, and choose another role."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui

from engine.actions.team import invite
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.errors import Refusal
from engine.core.roles import Role
from storage.keys import KeyRow
from storage.members import Person
from ui.forms.form import Field
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, words
from ui.kit.roles import ROLES
from ui.kit.text import _
from ui.kit.times import Times
from ui.page_session import PageSession
from ui.page_shell import not_twice


class InviteForm:
    """Asks for a role and optionally an e-mail address; `on_made(token, email)` is called with the new link."""

    def __init__(
        self, page_session: PageSession, on_made: Callable[[str, str], Awaitable[None]], on_cancel: Callable[[], None]
    ) -> None:
        self.page_session = page_session
        self.on_made = on_made
        send = not_twice(self._send)
        with ui.element("div").classes("fp-form fp-narrow"):
            self.role = RoleChoice(Role.EDITOR)
            self.email = Field(
                _("E-mail address"),
                _("optional"),
                _("With it, only an account with this address can be made. Flowport sends no mail: you send the link."),
            )
            with self.email.place:
                box = ui.input().props("outlined dense autocomplete=off type=email maxlength=200")
                self.box = self.email.control(box)
                self.box.on("keydown.enter", send)
            with ui.element("div").classes("fp-row"):
                button(_("Make the link"), send, icon="link", kind="main")
                button(_("Cancel"), on_cancel, kind="quiet")

    async def _send(self) -> None:
        self.email.error("")
        email = (self.box.value or "").strip()
        try:
            token = await self.page_session.execute(invite, self.role.value, email)
        except Refusal as refusal:
            said = refusal.errors[0].detail if refusal.errors else refusal.detail
            self.email.error(f"{said[:1].upper()}{said[1:].rstrip('.')}.")
            self.email.focus()
            return
        await self.on_made(token, email)


#: How a role is drawn in the open list; %s: its word -> what it may do.
_OPTION = """<q-item v-bind="props.itemProps" class="fp-role-option"><q-item-section>
  <q-item-label>{{ props.opt.label }}</q-item-label>
  <q-item-label class="fp-s12 fp-t2">{{ (%s)[props.opt.label] }}</q-item-label>
</q-item-section></q-item>"""


class RoleChoice:
    """A select of roles with the description of each."""

    def __init__(self, role: Role) -> None:
        field = Field(_("Role"))
        with field.place:
            choice = ui.select({name: word for name, (word, _means) in ROLES.items()}, value=role)
            self._choice = field.control(choice.props("outlined dense"))
            choice.add_slot("option", _OPTION % json.dumps(dict(ROLES.values())))
            means = words("", "fp-hint", tag="p").props("role=status")
            words(
                _(
                    "Somebody without an account can answer one question too: send its link with “Copy link” under Waiting."
                ),
                "fp-hint",
                tag="p",
            )

        def say() -> None:
            word, what = ROLES[self.value]
            means.text = f"{word}: {what}."

        say()
        self._choice.on_value_change(say)

    @property
    def value(self) -> Role:
        """The selected role."""
        return Role(self._choice.value)


async def ask_shut_out(one: Person, keys: Sequence[KeyRow], times: Times) -> tuple[str, ...] | None:
    """Asks for confirmation to shut a person out. Returns the ids of the keys to revoke, or None when cancelled.

    `keys` are the keys whose secret the person has seen.
    """
    title = _("Shut {name} out?").format(name=one.name)
    boxes: dict[str, ui.checkbox] = {}
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        said = _("They are signed out within seconds and cannot sign in. What they made stays, and keys go on working.")
        words(said, tag="p")
        if keys:
            seen = _(
                "has seen these keys and may have kept them. Tick the ones to revoke; programs that use them stop."
            )
            words(f"{one.name} {seen}", tag="p")
            boxes = _key_boxes(keys, times)
        with ui.element("div").classes("fp-acts"):
            button(_("Leave it"), dialog.close, kind="quiet")
            button(
                _("Shut out"),
                lambda: dialog.submit(_ticked(boxes)),
                kind="danger_main",
            )
    return await answer_of(dialog)


async def ask_revoke(one: Person, keys: Sequence[KeyRow], times: Times) -> tuple[str, ...] | None:
    """Asks about keys that a person, who is shut out now, made or rotated while they were being shut out. Returns the ids
    of the keys to revoke, or None when cancelled.
    """
    title = _("{name} has seen more keys").format(name=one.name)
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        said = _(
            "They made or rotated these just before they were shut out, and may have kept them. Tick the ones to revoke; programs that use them stop."
        )
        words(said, tag="p")
        boxes = _key_boxes(keys, times)
        with ui.element("div").classes("fp-acts"):
            button(_("Leave them"), dialog.close, kind="quiet")
            button(_("Revoke"), lambda: dialog.submit(_ticked(boxes)), kind="danger_main")
    return await answer_of(dialog)


def _key_boxes(keys: Sequence[KeyRow], times: Times) -> dict[str, ui.checkbox]:
    """Draws a box for each key. Returns them by the id of their key."""
    boxes: dict[str, ui.checkbox] = {}
    with ui.element("div").classes("fp-col").props("role=group") as group:
        group.props["aria-label"] = _("Keys to revoke")
        for key in keys:
            used = (
                _("used {last_used_at}").format(last_used_at=times.ago(key.last_used_at))
                if key.last_used_at
                else _("not used yet")
            )
            line = f"{key.label} ({ENVIRONMENT_TITLES[key.environment]}, {key.masked}), {used}"
            boxes[key.id] = ui.checkbox(line).props("dense")
    return boxes


def _ticked(boxes: Mapping[str, ui.checkbox]) -> tuple[str, ...]:
    return tuple(key_id for key_id, box in boxes.items() if box.value)


async def ask_role(one: Person) -> Role | None:
    """Asks for the new role of a person. Returns None when it is not changed."""
    title = _("Change the role of {name}").format(name=one.name)
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("They are signed out everywhere and have the new role when they sign in again."), tag="p")
        with ui.element("div").classes("fp-form"):
            choice = RoleChoice(one.role)
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Change the role"), lambda: dialog.submit(choice.value), kind="main")
    chosen = await answer_of(dialog)
    return None if chosen == one.role else chosen
