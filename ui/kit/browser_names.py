"""Names the browser and the system of a User-Agent header."""

from __future__ import annotations

from ui.kit.text import _

#: The order matters: each browser also names those below it in its User-Agent header, for compatibility.
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
    """Returns `Firefox, Linux` for a browser and the first word of any other User-Agent (`curl/8.5.0`)."""
    known = [_found(agent, _BROWSERS), _found(agent, _SYSTEMS)]
    return ", ".join(filter(None, known)) or agent.split(" ", maxsplit=1)[0][:40] or _("Unknown browser")


def _found(agent: str, marks: tuple[tuple[str, str], ...]) -> str:
    return next((word for mark, word in marks if mark in agent), "")
