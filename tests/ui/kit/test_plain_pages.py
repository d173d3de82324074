"""Pages without script: text from outside is escaped, every field has a label, nothing is loaded from other hosts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from ui.kit.plain_pages import (
    error_page,
    new_password_page,
    not_found_page,
    open_link_page,
    set_up_page,
    sign_in_page,
    socket_refused_page,
)

NASTY = "\"><script>alert(1)</script>'"

PAGES = {
    "sign-in": sign_in_page(email=NASTY, error=NASTY, next_path=NASTY, theme=NASTY),
    "set-up": set_up_page(NASTY, name=NASTY, email=NASTY, errors={"": NASTY, "email": NASTY}, theme="dark"),
    "new password": new_password_page(NASTY, NASTY, errors={"password": NASTY}),
    "open the link": open_link_page(),
    "not found": not_found_page(),
    "error": error_page(NASTY, happened=NASTY, why=NASTY, todo=NASTY, reference=NASTY),
    "socket refused": socket_refused_page(NASTY, NASTY),
}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = _Reader()
    reader.feed(page)
    return reader.tags


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_text_from_outside_never_becomes_markup(page: str) -> None:
    assert "<script" not in page
    assert not [name for _tag, attributes in _tags(page) for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_every_field_has_a_label_and_the_page_one_heading(page: str) -> None:
    tags = _tags(page)
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    fields = [attributes for tag, attributes in tags if tag == "input" and attributes.get("type") != "hidden"]

    assert all(field["id"] in labelled for field in fields)
    assert [tag for tag, _attributes in tags].count("h1") == 1
    assert [tag for tag, _attributes in tags].count("main") == 1
    assert tags[0] == ("html", {"lang": "en-US"})


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_only_files_of_this_server_are_loaded(page: str) -> None:
    addresses = [
        attributes.get("href") or attributes.get("src") for tag, attributes in _tags(page) if tag in {"link", "img"}
    ]

    assert addresses
    assert all(address and address.startswith("/assets/") for address in addresses)


def test_an_error_stands_at_its_field_and_is_tied_to_it() -> None:
    page = set_up_page("token", email="mara@example.com", errors={"email": "Write an e-mail address."})

    email = next(attributes for tag, attributes in _tags(page) if tag == "input" and attributes.get("name") == "email")

    assert email["aria-invalid"] == "true"
    assert email["aria-describedby"] == "email-error"
    assert re.search(r'id="email-error">Write an e-mail address\.<', page)
    assert email["value"] == "mara@example.com"


def test_a_password_is_never_sent_back() -> None:
    fields = [attributes for page in PAGES.values() for tag, attributes in _tags(page) if tag == "input"]

    assert all("value" not in field for field in fields if field.get("type") == "password")


@pytest.mark.parametrize(
    ("theme", "body"), [("dark", "body--dark"), ("light", "body--light"), ("", "fp-auto"), ("other", "fp-auto")]
)
def test_the_theme_is_the_chosen_one_or_the_systems(theme: str, body: str) -> None:
    assert f'<body class="fp-plain {body}">' in sign_in_page(theme=theme)
