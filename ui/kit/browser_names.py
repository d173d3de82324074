"""What people call the browser that sent a User-Agent header."""

from __future__ import annotations

from ui.kit.text import _

#: In this order: each also names the ones below it, to be taken for them.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """`Firefox, Linux`; the first word of anything else (`curl/8.5.0`)."""
    known = [_found(agent, _BROWSERS), _found(agent, _SYSTEMS)]
    return ", ".join(filter(None, known)) or agent.split(" ", maxsplit=1)[0][:40] or _("Unknown browser")


def _found(agent: str, marks: tuple[tuple[str, str], ...]) -> str:
    return next((word for mark, word in marks if mark in agent), "")
