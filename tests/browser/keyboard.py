"""Operates pages by keys alone. The element with the keyboard focus is identified by its accessible name."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page

#: The accessible name of the element with the keyboard focus.
_HERE = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return '';
    const text = (part) => [...(part?.childNodes ?? [])].map((inner) =>
        inner.nodeType === 3 ? inner.data : inner.ariaHidden === 'true' ? '' : inner.ariaLabel || text(inner)).join(' ');
    const by = one.getAttribute('aria-labelledby')?.split(' ').map((id) => text(document.getElementById(id))).join(' ');
    return (one.ariaLabel || by || text(one.labels?.[0] ?? one)).replace(/\\s+/g, ' ').trim();
}"""


class Keyboard:
    """Combines key presses of `page.keyboard`: move to an element, write, choose."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def here(self) -> str:
        """The accessible name of the focused element; "" without a focused element."""
        return self.page.evaluate(_HERE)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        """Replaces the content of the focused field."""
        self.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def reach(self, name: str, *, most: int, key: str = "Tab") -> None:
        """Presses a key until an element of this name has the focus.

        Fails after `most` presses, too many for a person.
        """
        passed = []
        for _ in range(most):
            self.press(key)
            passed.append(self.here())
            if named(name, passed[-1]):
                return
        raise AssertionError(f"{name!r} was not reached with {most} times {key}, only {passed}")

    def comes_to(self, name: str) -> None:
        """Waits until the focus is on an element of this name."""
        end = time.monotonic() + 30
        while not named(name, self.here()):
            assert time.monotonic() < end, f"the keyboard is on {self.here()!r}, not on {name!r}"
            self.page.wait_for_timeout(50)


def named(name: str, here: str) -> bool:
    """True for the name itself and for the name followed by more words ("Prompt no model yet")."""
    return re.match(rf"{re.escape(name)}\b", here) is not None
