"""Fields that are handed on as a number, or as yes or no."""

import pytest

from engine.flow.contract import result_schema
from engine.flow.document import Document, Node
from engine.flow.node_context import Json
from engine.flow.output_schemas import out_schema
from engine.flow.renames import rename_ops
from engine.flow.value_types import as_yes_no, number_in, number_reader, types_after, with_type
from engine.nodes import CATALOG
from tests.engine.nodes.one_node import Alone, problems_of, run_node


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("39.90 EUR", 39.9),
        ("1.299,00", 1299),
        ("1,299.00", 1299),
        ("EUR 1 299", 1299),
        ("1\u00a0299,50 €", 1299.5),
        ("12'000.50", 12000.5),
        ("-5", -5),
        ("\u22125 °C", -5),
        ("-$12.50", -12.5),
        ("\u2212\u20ac 39,90", -39.9),
        ("$-5", -5),
        ("-EUR 39.90", -39.9),
        ("Refund \u2013US$ 5", -5),
        ("-eur 39.90", -39.9),
        ("Refund \u2212Eur5", -5),
        ("-chf,50", -0.5),
        ("AB-EUR 5", 5),
        ("AB-eur 5", 5),
        ("abusd,50", 50),
        ("-SAR 12", -12),
        ("-KWD 12.50", -12.5),
        ("-VND 500000", -500000),
        ("-R$ 5", -5),
        ("Lamp - \u20ac39.90", 39.9),
        ("$.99", 0.99),
        ("-.5", -0.5),
        ("Lamp,5", 5),
        ("\u20ac,50", 0.5),
        ("\u20ac ,50", 0.5),
        ("EUR ,50", 0.5),
        ("-CHF,50", -0.5),
        ("0,500,000", 500000),
        (".12.2026", None),
        ("AB-1234", 1234),
        ("0,125", 0.125),
        ("49,90", 49.9),
        ("1.299.000", 1299000),
        ("€5,-", 5),
        ("1e5", 100000),
        ("call us", None),
        ("31.12.2026", None),
        ("1,2,3", None),
        ("9" * 41, None),
        ("1e999", None),
        ("", None),
    ],
)
def test_the_number_in_a_text_that_people_write(text, number):
    found, doubt = number_in(text)
    assert (found, type(found), doubt) == (number, type(number), "")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,299", 1299),
        ("1.299", 1.299),
        ("39.90 (was 49.90)", 39.9),
        ("2026-01-31", 2026),
        ("12.50-", 12.5),
        ("(12.50)", 12.5),
        ("(\u20ac 12.50 )", 12.5),
        ("- 5", 5),
        ("\u20ac \u2212 5", 5),
        ("(EUR 39.90)", 39.9),
        ("item ,39", 39),
        ("Price: ,50 \u20ac", 50),
        ("= ,5", 5),
        ("SEK,5", 0.5),
        ("Item -XL 12 pieces", 12),
        ("- red\n-PC 12", 12),
        ("-BTC 2", 2),
        ("-DM 12", 12),
        ("-Fr. 12", 12),
        ("usd,50", 50),
        ("Usd,50", 50),
        ("Bread,Ron,5", 5),
        ("try,5", 5),
    ],
)
def test_a_doubtful_number_says_so(text, number):
    found, doubt = number_in(text)
    assert found == number
    assert doubt


def test_a_number_is_searched_in_the_first_letters_of_a_long_text():
    assert number_in("x" * 99_990 + " 12.5") == (12.5, "")
    assert number_in("x" * 99_998 + "1234") == (None, ""), "it may go on"
    assert number_in("x" * 200_000 + "12") == (None, "")


def test_yes_when_there_is_something():
    assert [as_yes_no(one) for one in ("In stock", "yes", 3, [1], {"a": 1}, True)] == [True] * 6
    assert [as_yes_no(one) for one in (None, "", " ", "No", "false", 0, [], {}, False)] == [False] * 9


@pytest.mark.parametrize("kind", ["api_output", "set_fields"])
async def test_a_step_hands_its_fields_on_as_their_types(kind):
    context = Alone()
    config = {"types": {"price": "number", "there": "yes_no", "gone": "number"}}
    given = {"price": "1.299,00 EUR", "there": None, "name": "Lamp"}
    assert await run_node(kind, config, given, context) == {"price": 1299, "there": False, "name": "Lamp"}
    assert context.warnings == []
    assert await run_node(kind, config, {"price": "call us", "there": "In stock"}, context) == {
        "price": None,
        "there": True,
    }
    assert context.warnings == ["No number was found in “call us”, so `price` is empty."]


def test_an_unknown_type_is_a_problem():
    found = problems_of("set_fields", {"types": {"price": "date"}}, {"price": "x"})
    assert any(pointer.startswith("/config/types") for _code, pointer, _message in found)


def flow(config):
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {"id": "s", "type": "set_fields", "inputs": {"price": "{{ api_input.out.text }}"}, "config": config},
        {"id": "o", "type": "api_output", "inputs": {"price": "{{ s.out.price }}", "left": "x"}, "config": config},
    ]
    edges = [{"id": "1", "source": "api_input", "target": "s"}, {"id": "2", "source": "s", "target": "o"}]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def test_the_schemas_say_the_types():
    document = flow({"types": {"price": "number", "left": "yes_no"}})
    number = {"type": ["number", "null"]}
    assert result_schema(document, CATALOG)["properties"] == {"price": number, "left": {"type": "boolean"}}
    assert out_schema(document.node("s"), CATALOG, document)["properties"]["price"] == number


def test_a_renamed_field_keeps_its_type_and_a_removed_one_loses_it():
    node = Node(id="s", type="set_fields", inputs={"a": "1", "b": "2"})
    node = node.model_copy(update={"config": with_type(node, "a", "number")})
    assert node.config == {"types": {"a": "number"}}
    assert types_after(node, {"c": "1", "b": "2"}, {"a": "c"}) == {"types": {"c": "number"}}
    assert types_after(node, {"b": "2"}, {}) == {}
    assert with_type(node, "a", "") == {}


def test_a_field_of_the_answer_that_is_renamed_with_its_source_keeps_its_type():
    before = flow({"types": {"price": "number"}})
    data = before.model_dump()
    data["nodes"][1]["inputs"] = {"amount": "{{ api_input.out.text }}"}
    (op,) = rename_ops(before, Document.model_validate(data), CATALOG, "price", "amount")
    assert op["after"] == {
        "inputs": {"amount": "{{ s.out.amount }}", "left": "x"},
        "config": {"types": {"amount": "number"}},
    }


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (["1.234,50", "10,00"], [1234.5, 10]),
        (["1.234,50", "1.234", "7", 3], [1234.5, 1234, 7, 3]),
        (["1,234.50", "1,234", "1.5", "1,000,000"], [1234.5, 1234, 1.5, 1000000]),
        (["1 234,50", "1\u00a0234", "0,5"], [1234.5, 1234, 0.5]),
        (["\u00a3 12.50", "$3", "5", "", None], [12.5, 3, 5, None, None]),
        (["12,50 \u20ac", "-3 EUR", "\u2212\u20ac 2", "CHF 1", "4 Euro"], [12.5, -3, -2, 1, 4]),
        (["1.234", "7", "n/a"], [1.234, 7, None]),
        (["\u20ac 1.234", "1,234", "7"], [None, None, 7]),
        (["1.234", "1,234", "2.50", "3,50"], [None, None, 2.5, 3.5]),
        (["Room 12", "12 pieces", "2026-01-05", "01.02.2026", "12:30", "top 5", "3-4"], [None] * 7),
        (["(5)", "5-", "- 5", "1,0"], [None, None, None, 1]),
        (["1e3", "1.5", True, [1]], [1000, 1.5, None, None]),
    ],
)
def test_a_column_tells_how_its_numbers_are_written(column: list[Json], numbers: list[int | float | None]) -> None:
    assert list(map(number_reader(column), column)) == numbers
