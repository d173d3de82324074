"""Counts interactions: a click is one, filling a field is one, keys pressed together are one."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page


class Counted:
    """Performs and counts interactions.

    `did` names each of them; `look` is called after each, for example to take a picture.
    """

    def __init__(self, page: Page, look: Callable[[str], None] = lambda _what: None) -> None:
        self.page = page
        self.did: list[str] = []
        self.look = look

    def click(self, target: Locator) -> None:
        target.click()
        self._done(f"click {target}")

    def fill(self, target: Locator, text: str) -> None:
        target.fill(text)
        self._done(f"fill {target}")

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)
        self._done(f"press {keys}")

    def _done(self, what: str) -> None:
        self.did.append(what)
        self.look(what)
