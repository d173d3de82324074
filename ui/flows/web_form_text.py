"""The text for a colleague who makes the web page whose form starts a flow by a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from shlex import quote
from typing import Any

from engine.flow.contract import input_fields
from engine.flow.document import Document
from storage.hooks import HookRow
from ui.flows.hand_over import field_line
from ui.kit.text import _

#: Types of fields -> what a form has for them; a text has a box of several lines.
_INPUTS: Mapping[str, str] = {"integer": "number", "number": "number", "email": "email", "uri": "url", "date": "date"}
#: What a form without a file cannot send.
_LEFT_OUT = frozenset({"array", "object", "file"})


def web_form_text(title: str, document: Document, hook: HookRow, address: str) -> str:
    """Returns the text. `address`: that of the webhook, with its secret end or with words in its place."""
    sent = _sent(document, hook)
    listed = [field_line(name, field, required=bool(field.get("required"))) for name, field in sent.items()]
    boxes = [_box(name, field) for name, field in sent.items()]
    values = "".join(f" \\\n  --data-urlencode {quote(f'{name}=...')}" for name in sent)
    parts = [
        _("A form on our web site is to start our flow “{title}”.").format(title=title),
        _("These fields, with exactly these names:\n{fields}").format(fields="\n".join(listed) or _("- nothing")),
        _("The form in the page:\n\n{form}").format(
            form="\n".join(['<form method="post" action="/contact">', *boxes, "  <button>Send</button>", "</form>"])
        ),
        _(
            "“/contact” is a page of your own web site. Its server checks what came, passes it on as below, and shows the "
            "visitor a thank you:\n\n{call}"
        ).format(call=f"curl -X POST '{address}'{values}"),
        _(
            "The answer 202 means that the flow has begun. Its result comes to us, not to the visitor. With any other answer "
            "nothing began: its field “detail” says why, and “Retry-After” in how many seconds to send it again, where that "
            "helps."
        ),
        _(
            "Keep the address out of the page and of its scripts: it is a secret. Whoever sees it can start the flow as often "
            "as they like, at our cost and up to our limits. If it gets out, ask me for a new one."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _sent(document: Document, hook: HookRow) -> dict[str, Mapping[str, Any]]:
    """The fields that a form sends, by the names that the webhook looks for."""
    found: dict[str, Mapping[str, Any]] = {}
    for field in input_fields(document):
        name = str(field.get("name"))
        source = hook.mapping.get(name) or {"from": "body", "path": [name]}
        if source["from"] == "body" and len(source["path"]) == 1 and field.get("type") not in _LEFT_OUT:
            found.setdefault(str(source["path"][0]), field)
    return found


def _box(name: str, field: Mapping[str, Any]) -> str:
    """`  <label>message <textarea name="message" required></textarea></label>`."""
    name, required = escape(name), " required" if field.get("required") else ""
    if choices := field.get("enum"):
        options = "".join(f"<option>{escape(str(one))}</option>" for one in choices)
        box = f'<select name="{name}"{required}>{options}</select>'
    elif field.get("type") == "boolean":
        box = f'<input type="checkbox" name="{name}" value="true">'
    elif kind := _INPUTS.get(str(field.get("format") or field.get("type"))):
        box = f'<input type="{kind}" name="{name}"{required}>'
    else:
        box = f'<textarea name="{name}"{required}></textarea>'
    return f"  <label>{name} {box}</label>"
