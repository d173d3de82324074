"""Cookies in which a browser remembers how its person wants to see a page."""

from __future__ import annotations


def cookie_script(name: str, value: str) -> str:
    """Returns the script that sets a cookie for a year. `value` is a digit or an id, which has no quotes."""
    return f"document.cookie = '{name}={value};path=/;max-age=31536000;samesite=lax'"
