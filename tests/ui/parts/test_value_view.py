"""A value as people read it, drawn by NiceGUI without a browser."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from nicegui.testing.user_simulation import user_simulation

from tests.browser.hostile import HOSTILE
from tests.ui.arrange import page_text, press

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()
ROWS = [{"name": f"Loaf {at}", "price": at % 7, "link": f"https://a.example/{at}"} for at in range(30)]


async def seen(value: Any, look: Callable[[User], Any], **more: Any) -> None:
    """Draws the value and calls `look` with the page."""
    from ui.parts.value_view import answer_view

    async with user_simulation(lambda: answer_view(value, label="Result", **more)) as user:
        await user.open("/")
        done = look(user)
        if done is not None:
            await done


def tags(user: User, tag: str) -> list[ui.element]:
    assert user.client is not None
    return [one for one in user.client.elements.values() if one.tag == tag]


async def test_names_stand_beside_values_in_plain_words() -> None:
    def look(user: User) -> None:
        said = page_text(user)
        for word in ("Title", "Rye", "Is fresh", "Yes", "none", "empty", "4.2"):
            assert word in said.split("\n")
        assert len(tags(user, "dt")) == 6 + 1

    await seen({"title": "Rye", "is_fresh": True, "old": None, "note": "", "tags": [], "more": {"price": 4.2}}, look)


async def test_a_time_is_shown_as_people_read_it_with_the_value_behind_it() -> None:
    at = "2026-11-27T12:06:08.834Z"

    def look(user: User) -> None:
        shown = [one for one in tags(user, "span") if one.props.get("title") == at]
        assert [getattr(one, "text", "") for one in shown] == ["27 Nov 2026 12:06:08"] * 2

    await seen({"day": at, "rows": [{"day": at, "price": 1}]}, look)


async def test_one_answer_without_a_name_is_shown_alone() -> None:
    await seen({"output": "Only this"}, lambda user: _equal(tags(user, "dt"), []))


def _equal(found: Any, expected: Any) -> None:
    assert found == expected


async def test_an_address_is_a_link_that_tells_its_target_nothing() -> None:
    def look(user: User) -> None:
        (anchor,) = tags(user, "a")
        assert anchor.props["href"] == "https://a.example/x"
        assert (anchor.props["target"], anchor.props["rel"]) == ("_blank", "noopener noreferrer nofollow")

    await seen({"link": "https://a.example/x", "code": "javascript:alert(1)"}, look)


async def test_an_address_of_the_practice_site_is_text_with_a_hint() -> None:
    def look(user: User) -> None:
        assert tags(user, "a") == []
        assert "https://practice.flowport.example/news" in page_text(user)
        assert "flows can read it, browsers cannot" in page_text(user)

    await seen({"page": "https://practice.flowport.example/news"}, look)


async def test_a_list_of_groups_is_a_table_that_sorts_and_copies() -> None:
    async def look(user: User) -> None:
        assert len(tags(user, "tr")) == 1 + 20
        copy = next(one for one in user.find(kind=ui.button).elements if one.text == "Copy as CSV")
        assert str(copy.props["data-copy"]).startswith("name,price,link\r\nLoaf 0,0,https://a.example/0\r\n")
        press(user, "Download")
        saved = await user.download.next()
        assert saved.text.startswith("name,price,link\r\nLoaf 0,0,")
        press(user, "Show all 30")
        assert len(tags(user, "tr")) == 1 + 30
        for order, first in (("ascending", "Loaf 0"), ("descending", "Loaf 6"), (None, "Loaf 0")):
            head = tags(user, "th")[1]
            UserInteraction(user, {head.default_slot.children[0]}, None).click()
            assert head.props.get("aria-sort") == order
            assert page_text(user).split("\n").index(first) < page_text(user).split("\n").index("Loaf 1")

    await seen(ROWS, look)


async def test_markdown_is_rendered_and_can_be_read_as_written() -> None:
    async def look(user: User) -> None:
        (html,) = user.find(kind=ui.html).elements
        assert "<li>Rye</li>" in html.content
        (ways,) = [one for one in user.find(kind=ui.toggle).elements if "Formatted" in str(one.options)]
        ways.set_value("written")
        assert "- Rye\n- Roll" in page_text(user)

    await seen({"text": "Breads:\n\n- Rye\n- Roll"}, look)


async def test_a_long_text_is_folded_and_shown_whole() -> None:
    text = "word " * 400 + "end"

    async def look(user: User) -> None:
        assert "end" not in page_text(user).split("JSON")[0]
        press(user, "Show all (2,003 characters)")
        assert text in page_text(user)
        press(user, "Show less")
        assert text not in page_text(user)

    await seen({"text": text}, look)


async def test_a_picture_is_loaded_after_a_click_only() -> None:
    async def look(user: User) -> None:
        assert tags(user, "img") == []
        press(user, "Show the picture")
        (picture,) = tags(user, "img")
        assert (picture.props["src"], picture.props["alt"]) == (PNG, "photo")

    await seen({"photo": PNG, "web": "https://a.example/cat.png"}, look)


async def test_names_are_buttons_where_values_are_picked() -> None:
    picked: list[Any] = []

    async def look(user: User) -> None:
        keys = [one for one in tags(user, "button") if "fp-key" in one.classes]
        UserInteraction(user, {keys[-1]}, None).click()
        assert picked == [("output", "facts")]

    await seen({"output": {"facts": 1}}, look, on_pick=picked.append)


@pytest.mark.parametrize("value", [HOSTILE, {text: text for text in HOSTILE}, [{text: text} for text in HOSTILE]])
async def test_hostile_texts_stay_texts(value: Any) -> None:
    def look(user: User) -> None:
        assert user.client is not None
        assert {one.tag for one in user.client.elements.values()} & {"img", "script", "iframe", "object"} == set()
        links = [str(one.props["href"]) for one in tags(user, "a")]
        assert all(link.startswith("https://example.com/") for link in links)
        for html in (
            user.find(kind=ui.html).elements
            if any(isinstance(one, ui.html) for one in user.client.elements.values())
            else ()
        ):
            assert "<x-hostile" not in html.content
            assert "<img" not in html.content

    await seen(value, look)


async def test_a_huge_value_is_cut_with_its_download() -> None:
    def look(user: User) -> None:
        assert user.client is not None
        assert len(user.client.elements) < 6_000
        assert "There is more than can be shown here." in page_text(user)
        assert "Download all of it" in page_text(user)

    await seen({f"name {at}": {"a": [at] * 50} for at in range(2_000)}, look, download="/file")


@pytest.mark.parametrize("value", [None, True, 0, "", [], {}, [[]], [{}], {"output": None}, [[[[[[["deep"]]]]]]]])
async def test_small_values_are_drawn_too(value: Any) -> None:
    await seen(value, lambda user: _equal(bool(page_text(user)), True))


async def test_the_column_of_a_count_is_named_after_its_field() -> None:
    from ui.parts.value_view import readable

    counts = [{"key": "positive", "count": 3}]
    value = {"counts": counts, "others": [{"key": "a", "value": 1}]}
    async with user_simulation(lambda: readable(value, label="Result", heads={"key": "mood"})) as user:
        await user.open("/")
        heads = [child.text for head in tags(user, "th") for child in head.descendants() if getattr(child, "text", "")]
    assert heads == ["Mood", "Count", "Key", "Value"]


async def test_a_file_is_its_name_kind_and_size_with_a_download() -> None:
    file = {"name": "<b>bill</b>.pdf", "media_type": "application/pdf", "size": 2_000, "file_id": "file_" + "0" * 22}

    def look(user: User) -> None:
        anchors = tags(user, "a")
        assert [one.props["href"] for one in anchors] == [f"/files/{file['file_id']}"] * 3
        assert "PDF, 2 KB" in page_text(user)
        assert "<b>bill</b>.pdf" in page_text(user)

    await seen({"one": file, "all": [file], "rows": [{"no": 1, "bill": file}]}, look)
