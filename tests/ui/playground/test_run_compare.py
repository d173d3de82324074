"""Tests of the comparison of two runs: state and cost of each node, nodes with different outputs, and the differing
lines.
"""

from __future__ import annotations

from typing import Any

from nicegui.testing import User

from storage.run_comparison import OutputsCompared, compare_outputs, list_recent_runs
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run
from tests.ui.playground.test_lists import FLOW as LISTS
from tests.ui.playground.test_lists import look, step
from tests.ui.playground.test_run_batch import tab
from tests.ui.playground.test_run_panel import FLOW, named, opened, push
from ui.playground.run.compared_runs import MAX_LINES, compare_nodes, difference

NOTHING: dict[str, Any] = {"tokens": 0, "input_tokens": 0, "output_tokens": 0, "model_calls": 0, "cost_nanos": 0}


def test_lines_that_differ_are_shown_with_two_around_them():
    assert difference({"a": 1}, {"a": 1}) == []
    assert difference("one\ntwo\nthree\nfour", "one\ntwo\nthree\nfive") == [
        (" ", "two"),
        (" ", "three"),
        ("-", "four"),
        ("+", "five"),
    ]
    assert difference({"a": [1, 2]}, {"a": [1, 3]}) == [
        (" ", "a:"),
        (" ", "   • 1"),
        ("-", "   • 2"),
        ("+", "   • 3"),
    ]
    assert difference(None, "x") == [("-", "(empty)"), ("+", "x")]
    (behind,) = difference("x" * 20_000 + "a", "x" * 20_000 + "b")
    assert behind == ("…", "They differ, but not in the first 20,000 characters, which are compared here.")
    assert difference("x" * 20_001, "x" * 20_001) == []
    assert difference("a", "a\n") == [("…", "They differ only in how their lines end.")]
    ((_sign, said),) = difference({"a": 1}, {"a": "1"})
    assert said.startswith("They read alike, but are not the same value")
    long = difference([*range(1000)], [*range(5000, 6000)])
    assert (len(long), long[-1]) == (MAX_LINES + 1, ("…", ""))


def test_each_node_is_compared_with_itself_in_the_other_run():
    spent = {"input_tokens": 5, "output_tokens": 1, "model_calls": 1, "cost_nanos": 20, "attempt": 1}
    free = {"input_tokens": 0, "output_tokens": 0, "model_calls": 0, "cost_nanos": 0, "attempt": 1}
    first = look(step("s", items=2, **free), step("a", "0", **spent), step("a", "1", **spent), ended=True)
    second = look(step("s", "", "failed", error={"message": "No list."}, **free), step("gone", **free), ended=True)
    found = {node.node_id: node for node in compare_nodes(LISTS, first, second, {})}
    assert list(found) == ["s", "a", "gone"]
    a = found["a"].first
    assert a is not None
    assert (a.state, a.word, a.ms, a.tokens, a.cost_nanos) == ("completed", "2 of 2", 10, 12, 40)
    assert (found["a"].second, found["gone"].first) == (None, None)
    assert (found["s"].first.state, found["s"].second.state) == ("completed", "failed")  # type: ignore[union-attr]


def two(site: Site) -> tuple[str, str, str]:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    first = playground_run(
        site,
        flow_id,
        {"who": "Ann"},
        Did("set_fields", {"name": "Ann"}),
        *(Did("text_template", f"Dear {place}", str(place)) for place in range(3)),
        result={"output": "Dear Ann"},
    )
    site.clock.offset += 1_000
    second = playground_run(
        site,
        flow_id,
        {"who": "Bob"},
        Did("set_fields", {"name": "Ann"}, ms=4000),
        *(Did("text_template", f"Dear {place % 2}", str(place)) for place in range(4)),
        result={"output": "Dear Bob"},
    )
    return flow_id, first, second


def test_outputs_are_compared_item_by_item(site: Site) -> None:
    _flow, first, second = two(site)
    found = site.database.read_now(compare_outputs, site.workspace_id, first, second)
    assert (found["set_fields"].same, found["set_fields"].different) == (1, 0)
    letters = found["text_template"]
    assert (letters.same, letters.different, letters.only_first, letters.only_second) == (2, 1, 0, 1)
    assert letters.differs_at == "2"


async def test_of_a_large_run_only_outputs_that_were_read_of_both_are_compared(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    letter = Did("text_template", {"text": "Dear"})

    def run(*values: int) -> str:
        items = [Did("set_fields", {"n": value}, index_path=str(at)) for at, value in enumerate(values)]
        return playground_run(site, flow_id, {"who": "Ann"}, *items, letter)

    def compared(first: str, second: str) -> dict[str, OutputsCompared]:
        return site.database.read_now(compare_outputs, site.workspace_id, first, second)

    few, many, more = run(*range(10)), run(*range(5_200)), run(*range(5_300))
    assert compared(few, many) == {  # in the order of texts, where 9 comes after 5,000 others
        "set_fields": OutputsCompared(9, 0, 0, 4_991, None, cut=True),
        "text_template": OutputsCompared(0, 0, 0, 0, None, cut=True),
    }
    assert compared(many, few)["set_fields"] == OutputsCompared(9, 0, 4_991, 0, None, cut=True)
    both = compared(many, more)["set_fields"]
    assert (both.different, both.only_first, both.cut) == (0, 0, True)
    assert both.same + both.only_second == 5_000
    assert {one.cut for one in compared(few, few).values()} == {False}

    await opened(user, flow_id)
    tab(user, "compare")
    await user.should_see("not compared")
    await user.should_see("Of each run, the outputs of up to 5,000 steps are compared.")


def test_the_newest_runs_are_on_offer_with_their_input(site: Site) -> None:
    flow_id, first, second = two(site)
    runs = site.database.read_now(list_recent_runs, site.workspace_id, flow_id)
    assert [(run.job.id, run.payload) for run in runs] == [
        (second, '{"who":"Bob","count":null}'),
        (first, '{"who":"Ann","count":null}'),
    ]
    assert site.database.read_now(list_recent_runs, "ws_other", flow_id) == []


async def test_the_tab_shows_the_two_newest_runs_and_how_an_output_differs(site: Site, user: User) -> None:
    flow_id, first, _second = two(site)
    await opened(user, flow_id)
    tab(user, "compare")
    await user.should_see("The whole run", retries=60)
    shown = page_text(user)
    assert "- Dear Ann" not in shown
    assert "- output: Dear Ann" in shown
    assert "+ output: Dear Bob" in shown
    choices = list(named(user, "First run").options.values())
    assert choices[0].endswith(" · who: Bob"), "as people read it, not as JSON"
    assert "1.5 s → 4.0 s" in shown or "1.5 s → 4 s" in shown
    push(user, "Show how the output differs: Letter")
    await user.should_see("Letter, item 3", retries=60)
    assert "- Dear 2" in page_text(user)
    named(user, "Second run").value = first
    await user.should_see("Both runs gave the same.", retries=60)
