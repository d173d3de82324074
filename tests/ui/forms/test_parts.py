"""Tests of drawn forms: lists as boxes, values of any type, what stays as it was typed, and when errors are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.core.errors import FileSpaceFull
from engine.flow.contract import payload_schema
from engine.flow.file_values import file_value
from engine.flow.rules import FieldRule
from engine.nodes.api_input import Config as ApiInputConfig
from tests.ui.arrange import page_text
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_model, specs_of_schema

Draw = Callable[..., Form]
FIELDS = [
    {"name": "reviews", "type": "array", "items": {"type": "string"}},
    {"name": "stars", "type": "array", "items": {"type": "integer"}},
    {
        "name": "people",
        "type": "array",
        "items": {"type": "object", "fields": [{"name": "who", "type": "string"}, {"name": "age", "type": "integer"}]},
    },
]


@pytest.fixture
async def draw(user: User) -> Draw:
    """Draws a form on a page of the program."""
    await user.open("/templates")

    def drawn(specs: Any, value: Any = None, **options: Any) -> Form:
        assert user.client is not None
        with user.client.layout:
            return Form(specs, value, **options)

    return drawn


def payload_specs(*fields: dict[str, Any]) -> tuple[FieldSpec, ...]:
    return specs_of_schema(payload_schema(fields or FIELDS))


def parts(form: Form, kind: type[Any] | tuple[type[Any], ...]) -> list[Any]:
    """The visible elements of this kind in the form, in the order in which they stand."""
    found = []

    def walk(element: ui.element) -> None:
        if not element.visible:
            return
        if isinstance(element, kind):
            found.append(element)
        for slot in element.slots.values():
            for child in slot.children:
                walk(child)

    walk(form.element)
    return found


def send(element: ui.element, event: str, value: Any) -> None:
    """Fires an event as the browser does."""
    listener = next(one for one in element._event_listeners.values() if one.type == event)
    element.client.handle_event({"id": element.id, "listener_id": listener.id, "args": [json.dumps(value)]})


def label_of(element: ui.element) -> str:
    """The accessible name of a control."""
    if isinstance(element, ui.switch):
        return element.text
    labels = {
        one.props.get("for"): getattr(one, "text", "")
        for one in element.client.elements.values()
        if one.tag in {"label", "div"} and hasattr(one, "text")
    }
    return str(element.props.get("aria-label") or labels.get(f"{element.html_id}-in", ""))


def box(form: Form, label: str) -> Any:
    """The control with this label."""
    controls = parts(form, (ui.input, ui.textarea, ui.select, ui.switch))
    found = [one for one in controls if label_of(one) == label]
    assert found, f"no {label} among {[label_of(one) for one in controls]}"
    return found[-1]


def press(user: User, form: Form, name: str, number: int = 0) -> None:
    buttons = [one for one in parts(form, ui.button) if name in {one.text, one.props.get("aria-label")}]
    UserInteraction(user, {buttons[number]}, None).click()


def leave(user: User, element: ui.element) -> None:
    UserInteraction(user, {element}, None).trigger("blur")


def paste(user: User, element: ui.element, text: str, rest: str | None = None) -> None:
    """Pastes text of several lines, as the browser hands it over. `rest`: what is left beside a marked text."""
    UserInteraction(user, {element}, None).trigger("paste", {"text": text, "rest": rest})


async def test_a_list_has_a_box_per_item_and_pasted_lines_become_items(user: User, draw: Draw) -> None:
    changes: list[tuple[str, Any]] = []
    form = draw(payload_specs(), {}, on_change=lambda pointer, value: changes.append((pointer, value)))
    press(user, form, "Add an item")
    box(form, "reviews, item 1").value = "Great"
    press(user, form, "Add an item")
    assert form.value == {"reviews": ["Great"]}, "a box in which nothing was written is no item"
    changes.clear()
    paste(user, box(form, "reviews, item 2"), "- Slow\n- Broken\n\n- Fine\n")
    assert form.value == {"reviews": ["Great", "Slow", "Broken", "Fine"]}
    assert changes == [("/reviews", form.value["reviews"])], "one change, however many lines there are"


async def test_pasted_lines_take_the_place_of_a_marked_text_and_all_items_can_be_removed(
    user: User, draw: Draw
) -> None:
    form = draw(payload_specs(), {"reviews": ["First sample", "Second sample"]})
    paste(user, box(form, "reviews, item 1"), "Mine\nMine too\n", rest="")
    assert form.value == {"reviews": ["Mine", "Mine too", "Second sample"]}
    paste(user, box(form, "reviews, item 3"), "a\nb", rest="Second ")
    assert form.value == {"reviews": ["Mine", "Mine too", "Second", "a", "b"]}
    press(user, form, "Remove all")
    assert form.value == {"reviews": []}
    box(form, "reviews, item 1").value = "Again"
    assert form.value == {"reviews": ["Again"]}, "an empty box is there to go on in"


async def test_nothing_else_is_drawn_again_when_an_item_comes_moves_or_goes(user: User, draw: Draw) -> None:
    form = draw(payload_specs(), {"reviews": ["a", "b", "c"]})
    first, second, third = (box(form, f"reviews, item {number}") for number in (1, 2, 3))
    press(user, form, "Add an item")
    press(user, form, "Move up item 3")
    press(user, form, "Remove item 1")
    assert form.value == {"reviews": ["c", "b"]}
    assert (box(form, "reviews, item 1"), box(form, "reviews, item 2")) == (third, second)
    assert first.is_deleted


async def test_a_wrong_number_stays_and_is_told_in_words_for_numbers_when_its_box_is_left(
    user: User, draw: Draw
) -> None:
    form = draw(payload_specs(), {"stars": [5]})
    press(user, form, "Add an item", 1)
    wrong = box(form, "stars, item 2")
    wrong.value = "four"
    assert "Write a whole number" not in page_text(user), "nobody is told while typing"
    leave(user, wrong)
    assert "Write a whole number, like 12" in page_text(user)
    press(user, form, "Add an item", 1)
    press(user, form, "Move up item 2")
    assert box(form, "stars, item 1").value == "four"
    assert form.unread == {"/stars/0": "Write a whole number, like 12"}
    box(form, "stars, item 1").value = "4"
    assert "Write a whole number" not in page_text(user)
    assert form.value == {"stars": [4, 5]}


async def test_a_price_with_a_comma_is_told_and_offered_with_a_point(user: User, draw: Draw) -> None:
    form = draw(payload_specs({"name": "price", "type": "number", "required": True}), {})
    typed = parts(form, ui.input)[0]
    typed.value = "49,90"
    assert "Use 49.90" not in page_text(user), "nobody is told while typing"
    leave(user, typed)
    assert form.problems() == {"/price": "A number is written without a comma here. Did you mean 49.90?"}
    press(user, form, "Use 49.90")
    assert (typed.value, form.value) == ("49.90", {"price": 49.9})
    assert "comma" not in page_text(user)
    assert "Use 49.90" not in page_text(user)


async def test_pasted_lines_of_which_one_is_no_number_keep_it_to_be_corrected(user: User, draw: Draw) -> None:
    form = draw(payload_specs(), {})
    press(user, form, "Add an item", 1)
    paste(user, box(form, "stars, item 1"), "5\nfour\n3")
    assert form.value == {"stars": [5, 3]}
    assert box(form, "stars, item 2").value == "four"
    assert list(form.unread.values()) == ["Write a whole number, like 12"]


async def test_groups_in_a_list_are_blocks_with_their_fields(user: User, draw: Draw) -> None:
    form = draw(payload_specs(), {})
    press(user, form, "Add an item", 2)
    box(form, "who").value = "Ada"
    box(form, "age").value = "36"
    assert form.value == {"people": [{"who": "Ada", "age": 36}]}


async def test_the_json_of_a_list_is_its_other_view_and_wrong_json_is_not_lost(user: User, draw: Draw) -> None:
    form = draw(payload_specs(), {"stars": [5]}, types=True)
    press(user, form, "Write it as JSON: stars")
    text = box(form, "stars")
    text.value = "[5, 4"
    press(user, form, "Back to the boxes: stars")
    assert text.value == "[5, 4"
    assert "Write a list in square brackets" in page_text(user)
    text.value = "[5, 4]"
    press(user, form, "Back to the boxes: stars")
    assert (box(form, "stars, item 2").value, form.value) == ("4", {"stars": [5, 4]})


async def test_a_value_of_any_type_is_text_a_number_a_list_or_a_group_three_levels_deep(user: User, draw: Draw) -> None:
    form = draw(payload_specs({"name": "any", "type": "object"}), {})
    press(user, form, "Add a value to any")
    box(form, "any, Name 1").value = "shops"
    box(form, "any, Value 1, Type").value = "list"
    box(form, "any, Value 1, Each item is").value = "group"
    press(user, form, "Add an item, any, Value 1")
    press(user, form, "Add a value to any, Value 1, item 1")
    box(form, "any, Value 1, item 1, Name 1").value = "town"
    box(form, "any, Value 1, item 1, Value 1").value = "Ulm"
    assert form.value == {"any": {"shops": [{"town": "Ulm"}]}}


async def test_another_type_keeps_what_was_written(user: User, draw: Draw) -> None:
    form = draw((FieldSpec(name="any", title="any", kind="any", type_word="Anything"),), {})
    box(form, "any").value = "twelve"
    box(form, "any, Type").value = "number"
    assert (box(form, "any").value, form.value) == ("twelve", {})
    assert list(form.unread) == ["/any"]
    box(form, "any, Type").value = "list"
    assert form.value == {"any": ["twelve"]}
    box(form, "any, Type").value = "text"
    assert form.value == {"any": '["twelve"]'}


async def test_a_row_without_a_name_and_one_whose_name_is_taken_stay(user: User, draw: Draw) -> None:
    form = draw(payload_specs({"name": "any", "type": "object"}), {"any": {"a": "1"}})
    press(user, form, "Add a value to any")
    name = box(form, "any, Name 2")
    name.value = "a"
    box(form, "any, Value 2").value = "2"
    leave(user, name)
    assert name.props["error-message"] == "Another value has this name."
    assert (form.value, list(form.unread.values())) == ({"any": {"a": "1"}}, ["Another value has this name."])
    name.value = "b"
    assert form.value == {"any": {"a": "1", "b": "2"}}


async def test_a_new_type_of_a_field_leaves_its_other_boxes_as_they_are(user: User, draw: Draw) -> None:
    form = draw(specs_of_model(ApiInputConfig), {})
    press(user, form, "Add a field")
    name = box(form, "Name")
    name.value = "reviews"
    box(form, "Type").value = "List"
    box(form, "Required").value = True
    assert box(form, "Name") is name
    assert form.value["fields"] == [{"name": "reviews", "type": "array", "items": {"type": "string"}, "required": True}]


async def test_the_box_of_formats_stays_when_a_format_was_chosen_in_it(user: User, draw: Draw) -> None:
    form = draw(specs_of_model(ApiInputConfig), {})
    press(user, form, "Add a field")
    box(form, "Name").value = "page"
    formats = box(form, "Format")
    formats.value = "Web address"
    stored = {"fields": [{"name": "page", "type": "string", "format": "uri"}]}
    assert form.value == stored
    form.set_value(stored)
    assert box(form, "Format") is formats

    box(form, "Type").value = "E-mail address"
    assert form.value == {"fields": [{"name": "page", "type": "string", "format": "email"}]}
    assert formats.is_deleted, "the type says it"


async def test_a_sample_that_cannot_be_read_stays_when_another_is_added(user: User, draw: Draw) -> None:
    form = draw(specs_of_model(ApiInputConfig), {})
    press(user, form, "Add a sample")
    press(user, form, "Add a value to What is sent")
    box(form, "What is sent, Value 1").value = "typed"
    press(user, form, "Add a sample")
    assert [one.value for one in parts(form, ui.textarea)] == ["typed"]


async def test_an_untouched_form_shows_nothing_red_and_the_button_shows_what_is_missing(user: User, draw: Draw) -> None:
    form = draw(payload_specs({"name": "url", "type": "string", "format": "uri", "required": True}), {})
    url = box(form, "url")
    leave(user, url)
    assert "This is required" not in page_text(user)
    url.value = "nowhere"
    assert "Write a web address" not in page_text(user)
    leave(user, url)
    assert "Write a web address, like https://example.com" in page_text(user)
    url.value = ""
    assert form.problems() == {"/url": "This is required"}
    assert "This is required" in page_text(user)


async def test_a_web_address_without_https_is_completed_when_its_box_is_left(user: User, draw: Draw) -> None:
    changes: list[tuple[str, Any]] = []
    address = {"type": "string", "format": "uri"}
    fields = ({"name": "url", **address}, {"name": "more", "type": "array", "items": address})
    form = draw(payload_specs(*fields), {"more": ["a"]}, on_change=lambda *change: changes.append(change))
    url, item = box(form, "url"), box(form, "more, item 1")

    url.value, item.value = "www.wikipedia.org", "example.com/page"
    assert url.value == "www.wikipedia.org", "nothing changes while somebody is typing"
    leave(user, url)
    assert url.value == "https://www.wikipedia.org"
    assert form.problems() == {}

    assert form.value == {"url": "https://www.wikipedia.org", "more": ["https://example.com/page"]}
    assert changes[-2:] == [("/url", "https://www.wikipedia.org"), ("/more/0", "https://example.com/page")]


async def test_values_from_elsewhere_are_shown_in_the_same_boxes(user: User, draw: Draw) -> None:
    form = draw(payload_specs(), {"reviews": ["a", "b"], "stars": [1]})
    first, star = box(form, "reviews, item 1"), box(form, "stars, item 1")
    star.value = "many"
    form.set_value({"reviews": ["c"], "stars": [1]})
    assert (box(form, "reviews, item 1"), first.value) == (first, "c")
    assert star.value == "many", "what cannot be read stays while the value is the same"


def test_a_switch_with_the_opposite_meaning_has_a_help_of_its_own() -> None:
    (spec,) = (one for one in specs_of_model(FieldRule) if one.name == "ignore_case")
    assert (spec.inverted, spec.help) == ("Match capitals", "When it is on, “Refund” and “refund” are different.")


async def test_a_dropped_file_is_kept_and_shown_and_can_be_removed(user: User, draw: Draw) -> None:
    kept = []

    async def keep(name: str, said_type: str, content: bytes) -> Any:
        if not content:
            raise FileSpaceFull("The space is used up")
        kept.append((name, said_type, content))
        return file_value("file_" + "0" * 22, name, "application/pdf", len(content))

    rules = {"type": "file", "required": True, "file_kinds": ["pdf", "image"], "max_file_mb": 2}
    form = draw(payload_specs({"name": "document", **rules}), keep_file=keep)
    assert form.problems() == {"/document": "Choose a file first"}
    upload = next(one for one in user.find(kind=ui.upload).elements)
    assert upload.props["max-file-size"] == 2 << 20
    assert upload.props["accept"].startswith(".pdf,.png,")

    await upload.handle_uploads([ui.upload.SmallFileUpload("empty.pdf", "x/y", b"")])
    await user.should_see("The space is used up")
    await upload.handle_uploads([ui.upload.SmallFileUpload("a.pdf", "x/y", b"%PDF")])
    await user.should_see("a.pdf")

    assert kept == [("a.pdf", "x/y", b"%PDF")]
    assert form.value["document"]["name"] == "a.pdf"
    assert form.problems() == {}
    press(user, form, "Remove document")
    assert form.value == {}


async def test_several_dropped_files_become_the_items_of_a_list(user: User, draw: Draw) -> None:
    async def keep(name: str, said_type: str, content: bytes) -> Any:
        return file_value("file_" + "0" * 22, name, said_type, len(content))

    form = draw(payload_specs({"name": "all", "type": "array", "items": {"type": "file"}}), keep_file=keep)
    (upload,) = user.find(kind=ui.upload).elements

    for name in ("a.pdf", "b.pdf", "c.pdf"):
        await upload.handle_uploads([ui.upload.SmallFileUpload(name, "x/y", b"x")])
        await user.should_see(name)

    assert [one["name"] for one in form.value["all"]] == ["a.pdf", "b.pdf", "c.pdf"]


async def test_files_chosen_together_stand_in_the_order_of_the_choice(user: User, draw: Draw) -> None:
    async def keep(name: str, said_type: str, content: bytes) -> Any:
        return file_value("file_" + "0" * 22, name, said_type, len(content))

    form = draw(payload_specs({"name": "all", "type": "array", "items": {"type": "file"}}), keep_file=keep)
    (upload,) = user.find(kind=ui.upload).elements
    for chosen, arriving in ((["b.pdf", "a.pdf"], ["a.pdf", "b.pdf"]), (["d.pdf", "c.pdf"], ["c.pdf", "d.pdf"])):
        send(upload, "added", chosen)
        for name in arriving:
            await upload.handle_uploads([ui.upload.SmallFileUpload(name, "x/y", b"x")])
            await user.should_see(name)
    assert [one["name"] for one in form.value["all"]] == ["b.pdf", "a.pdf", "d.pdf", "c.pdf"]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("max-file-size", "This file is too large: a file may have 2 MB."),
        ("accept", "This file is of another kind. Taken are: PDF."),
    ],
)
async def test_a_file_that_is_not_sent_says_why(user: User, draw: Draw, why: str, said: str) -> None:
    async def keep(_name: str, _type: str, _content: bytes) -> Any:
        raise AssertionError

    draw(payload_specs({"name": "one", "type": "file", "file_kinds": ["pdf"], "max_file_mb": 2}), keep_file=keep)
    (upload,) = user.find(kind=ui.upload).elements
    send(upload, "rejected", why)
    await user.should_see(said)
    sent = next(one for one in upload._event_listeners.values() if one.type == "finish")
    assert sent.js_handler and "reset()" in sent.js_handler, "the browser may send the same file again"


async def test_a_form_that_keeps_no_files_shows_what_is_there(user: User, draw: Draw) -> None:
    value = {
        "one": file_value("file_" + "0" * 22, "<b>a</b>.pdf", "application/pdf", 2_000),
        "two": "https://a.example/x.pdf",
    }
    draw(
        payload_specs(
            {"name": "one", "type": "file"}, {"name": "two", "type": "file"}, {"name": "three", "type": "file"}
        ),
        value,
    )
    await user.should_see("<b>a</b>.pdf")
    await user.should_see("is fetched when the flow runs")
    await user.should_see("No file")


async def test_a_large_list_draws_its_first_items_and_loses_none_of_the_others(user: User, draw: Draw) -> None:
    changes: list[tuple[str, Any]] = []
    reviews = [f"review {number}" for number in range(250)]
    form = draw(
        payload_specs(),
        {"reviews": reviews},
        on_change=lambda pointer, value: changes.append((pointer, value)),
        types=True,
    )

    assert len(parts(form, ui.textarea)) == 100
    assert "150 more items are not shown. JSON shows all of them." in page_text(user)

    box(form, "reviews, item 100").value = "changed"
    press(user, form, "Add an item")
    parts(form, ui.textarea)[-1].value = "added"

    assert form.value["reviews"] == [*reviews[:99], "changed", "added", *reviews[100:]]
    assert changes[-1] == ("/reviews/100", "added")
    assert form.problems() == {}

    press(user, form, "Show more, reviews")
    press(user, form, "Show more, reviews")

    assert len(parts(form, ui.textarea)) == 251
    assert "Show more" not in [one.text for one in parts(form, ui.button)]
    assert form.value["reviews"] == [*reviews[:99], "changed", "added", *reviews[100:]]

    press(user, form, "Remove all, reviews")

    assert form.value["reviews"] == []


async def test_lists_in_lists_and_lists_beside_others_have_a_limit_together(user: User, draw: Draw) -> None:
    rows = [{"v": list(range(10))} for _row in range(1000)]
    specs = payload_specs({"name": "rows", "type": "array"}, {"name": "more", "type": "array"}, FIELDS[1])
    value = {"rows": rows, "more": rows, "stars": list(range(1000))}

    form = draw(specs, value, types=True)

    assert 100 < len(parts(form, ui.input)) + len(parts(form, ui.textarea)) <= 400
    assert form.value == value

    inside = next(one for one in parts(form, ui.input) if one.value == "9")
    inside.value = "77"

    changed = {**value, "rows": [{"v": [*range(9), 77]}, *rows[1:]]}
    assert form.value == changed


async def test_many_named_values_draw_their_first_and_a_hidden_name_is_taken(user: User, draw: Draw) -> None:
    value = {"anything": {f"name {number}": number for number in range(120)}}
    form = draw(payload_specs({"name": "anything", "type": "object"}), value, types=True)

    assert len([one for one in parts(form, ui.input) if one.props.get("placeholder") == "Name"]) == 100

    names = [one for one in parts(form, ui.input) if one.props.get("placeholder") == "Name"]
    names[0].value = "name 119"
    assert form.value["anything"] == {f"name {number}": number for number in range(1, 120)}
    names[0].value = "first"

    assert form.value["anything"] == {"first": 0} | {f"name {number}": number for number in range(1, 120)}
