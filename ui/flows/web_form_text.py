"""The text for a colleague who makes the web page whose form starts a flow by a webhook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from shlex import quote
from typing import Any

from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.payload_check import fits_format
from storage.hooks import HookRow
from ui.flows.hand_over import field_line
from ui.kit.text import _

#: Types of fields -> what a form has for them; a text has a box of several lines.
_INPUTS: Mapping[str, str] = {"integer": "number", "number": "number", "email": "email", "uri": "url", "date": "date"}
#: What a form without a file cannot send.
_LEFT_OUT = frozenset({"array", "object", "file"})
#: A name of a text that is an e-mail address: `email`, `reply_to_e-mail`, `E-mail address`.
_EMAIL_NAME = re.compile(r"(?:.*[\W_])?e[-_ ]?mail(?:[-_ ]?address)?", re.IGNORECASE)
_MISSING = _(
    "The flow needs these fields, too, and a form cannot fill them. Until I change that, every call of the form is "
    "refused:\n{fields}"
)


def web_form_text(title: str, document: Document, hook: HookRow, address: str) -> str:
    """Returns the text. `address`: that of the webhook, with its secret end or with words in its place."""
    sent, missing = _sent(document, hook)
    listed = [field_line(name, field, required=bool(field.get("required"))) for name, field in sent.items()]
    boxes = [_box(name, field) for name, field in sent.items()]
    values = "".join(f" \\\n  --data-urlencode {quote(f'{name}=...')}" for name in sent)
    parts = [
        _("A form on our web site is to start our flow “{title}”.").format(title=title),
        _("These fields, with exactly these names:\n{fields}").format(fields="\n".join(listed) or _("- nothing")),
        *([_MISSING.format(fields="\n".join(missing))] if missing else []),
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


def _sent(document: Document, hook: HookRow) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Returns the fields that a form sends, by the names that the webhook looks for, and a line for each required field
    that it cannot send.
    """
    found: dict[str, Mapping[str, Any]] = {}
    missing: list[str] = []
    for field in input_fields(document):
        name = str(field.get("name"))
        source = hook.mapping.get(name) or {"from": "body", "path": [name]}
        if source["from"] in {"all", "text"}:
            continue
        match source.get("path"):
            case [str(sent)] if field.get("type") not in _LEFT_OUT:
                found[sent] = _of_both(found[sent], field) if sent in found else field
            case _ if field.get("required"):
                missing.append(field_line(name, field, required=True))
    return found, missing


def _of_both(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a form has for two fields that the same value fills."""
    strict = max(
        one,
        other,
        key=lambda field: bool(field.get("format") or field.get("enum") or field.get("type", "string") != "string"),
    )
    return {**strict, "required": one.get("required") or other.get("required")}


def _box(name: str, field: Mapping[str, Any]) -> str:
    """`  <label>message <textarea name="message" required></textarea></label>`.

    A yes or no is a list: a checkbox without its tick sends nothing. The first entry of a list is empty, so that nobody
    sends what they did not choose.
    """
    kind = _INPUTS.get(str(field.get("format") or field.get("type")), "email" if _is_email(name, field) else "")
    name, required = escape(name), " required" if field.get("required") else ""
    if choices := field.get("enum") or (("yes", "no") if field.get("type") == "boolean" else ()):
        options = "".join(f"<option>{escape(str(one))}</option>" for one in choices)
        box = f'<select name="{name}"{required}><option value=""></option>{options}</select>'
    elif kind:
        step = ' step="any"' if field.get("type") == "number" else ""
        box = f'<input type="{kind}" name="{name}"{step}{required}>'
    else:
        box = f'<textarea name="{name}"{required}></textarea>'
    return f"  <label>{name} {box}</label>"


def _is_email(name: str, field: Mapping[str, Any]) -> bool:
    """Whether the name of a text says that it is an e-mail address, and its example does not say otherwise."""
    example = field.get("example")
    plain = field.get("type") == "string" and not field.get("format") and _EMAIL_NAME.fullmatch(name) is not None
    return plain and (not example or fits_format("email", str(example)))
