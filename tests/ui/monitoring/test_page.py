"""Texts and charts of Monitoring without a browser: costs and errors, axes, names at the ends of lines."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from nicegui import ui
from nicegui.testing import User

from engine.actions.keys import create_key
from engine.core.clock import HOUR, Millis
from storage.monitoring.counts import STEPS_FAILED, Cost, Took
from storage.monitoring.curves import Curves
from storage.monitoring.figures import Endpoint, Figures, Kind, Now
from storage.monitoring.period import Filters, Period
from tests.ui.arrange import FAILED, accepted, ended, page_text, press, refused, texts, until, went_on
from tests.ui.conftest import Site
from tests.ui.playground.runs import playground_run
from ui.jobs.refused_calls import RefusedView
from ui.kit.text import ENGLISH, Reader
from ui.monitoring.charts_over_time import Series, TimeAxis, lines, scale, stacked_bars
from ui.monitoring.drawn_charts import Drawings, jobs_path
from ui.monitoring.filter_bar import Choices, View
from ui.monitoring.words import SlotWords, change, cost_words, kind_word
from ui.parts.charts import Rank, plain, ranking

NOW = Millis(1_790_000_000_000)
PERIOD = Period.ending(NOW, "24h")
SLOTS = len(PERIOD.starts)
HOSTILE = "<img src=x onerror=alert(1)> & %{x} ${y}"


def _figures(**more: Any) -> Figures:
    statuses: list[dict[str, int]] = [{} for _ in range(SLOTS)]
    statuses[5] = {"completed": 4, "failed": 1}
    statuses[-1] = {"completed": 2, "refused": 3}
    endpoint = Endpoint(
        flow_id="flow_1",
        title="Greeting",
        live_version=4,
        deleted=False,
        by_status={"completed": 6, "failed": 1},
        by_slot=(0,) * SLOTS,
        took=None,
        cost=Cost(),
    )
    whole = Figures(
        period=PERIOD,
        endpoints=(endpoint,),
        by_status={"completed": 6, "failed": 1},
        statuses=tuple(statuses),
        took=Took(1_000, 2_000),
        took_before=None,
        requests_before=0,
        costs={(5, "flow_1", "openai", "small"): Cost(2_000_000, 2, 0), (6, "flow_1", "own", "big"): Cost(0, 1, 1)},
        now=Now(1, 0, 0, 4, 7, 1_000),
        kinds=(Kind("validation_failed", True, 3, NOW), Kind("timeout", False, 1, NOW)),
    )
    return replace(whole, **more)


def _drawings(figures: Figures, filters: Filters = Filters()) -> Drawings:
    took: list[Took | None] = [None] * SLOTS
    took[5] = Took(1_500, 20_000)
    curves = Curves(tuple(took), tuple(took), (0,) * (SLOTS - 1) + (2,))
    return Drawings(figures, curves, filters, ENGLISH)


def _axis(count: int = 4) -> TimeAxis:
    return TimeAxis([at * HOUR for at in range(count)], HOUR, [(0, "00:00")], 0)


def _names(figure: dict[str, Any]) -> list[tuple[str, float]]:
    return [(note["text"], note["y"]) for note in figure["layout"]["annotations"]]


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (Cost(), "$0.00"),
        (Cost(1_600_000_000, 3, 0), "$1.60"),
        (Cost(1_600_000_000, 6, 3), "at least $1.60"),
        (Cost(0, 3, 3), "unknown"),
    ],
)
def test_an_unknown_cost_is_never_a_zero(cost: Cost, said: str) -> None:
    assert cost_words(cost, ENGLISH) == said


def test_errors_are_called_by_words_and_new_codes_by_their_own() -> None:
    assert kind_word(Kind("model_rate_limited", False, 1, NOW)) == "Model was asked too often"
    assert kind_word(Kind("concurrency_limit_exceeded", True, 1, NOW)) == "Too many runs at the same time"
    assert kind_word(Kind("something_new", False, 1, NOW)) == "Something new"


@pytest.mark.parametrize(
    ("count", "before", "said"),
    [(5, 0, ""), (10, 10, "as before"), (15, 10, "50 %"), (5, 10, "50 %"), (200, 10, "20 times as many")],
)
def test_a_change_is_told_against_the_time_before(count: int, before: int, said: str) -> None:
    assert change(count, before, ENGLISH)[1] == said


def test_slots_are_called_by_their_time_and_the_last_tick_is_now() -> None:
    words = SlotWords(PERIOD, ENGLISH)

    assert words.whole(Millis(NOW // HOUR * HOUR)) == "21 Sep 14:00 to 15:00"
    assert [text for _at, text in words.ticks()] == ["18:00", "00:00", "06:00", "now"]


def test_a_slot_is_named_by_the_clock_of_its_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    reader = Reader(zone=berlin)
    at = round(datetime(2026, 10, 27, 12, tzinfo=berlin).timestamp() * 1_000)
    days = Period.in_zone(at, "30d", berlin)
    assert [SlotWords(days, reader).whole(start) for start in days.starts][-4:] == [
        "24 Oct",
        "25 Oct",
        "26 Oct",
        "27 Oct",
    ]
    week = Period.in_zone(at, "7d", berlin)
    words = [SlotWords(week, reader).whole(start) for start in week.starts]
    assert words[-11:-9] == ["25 Oct 00:00 to 06:00", "25 Oct 06:00 to 12:00"]
    assert [text for _at, text in SlotWords(week, reader).ticks()] == ["22 Oct", "24 Oct", "26 Oct", "now"]
    night = Period.in_zone(round(datetime(2026, 10, 25, 5, tzinfo=berlin).timestamp() * 1_000), "24h", berlin)
    hours = [SlotWords(night, reader).whole(start) for start in night.starts]
    assert hours[-5:-2] == ["25 Oct 02:00 to 02:00", "25 Oct 02:00 to 03:00", "25 Oct 03:00 to 04:00"]


@pytest.mark.parametrize("highest", [1, 3, 7, 60, 165, 4_000])
def test_an_axis_reaches_over_the_highest_value_in_whole_steps(highest: float) -> None:
    made = scale(highest, str, whole=True)

    assert made.top >= highest
    assert 2 <= len(made.ticks) <= 6
    assert all(float(at).is_integer() for at, _words in made.ticks)


@pytest.mark.parametrize("highest", [0.001, 0.003, 0.011, 0.015, 0.02, 0.4, 0.99, 1.2, 9, 70, 4_000])
def test_no_two_labels_of_the_run_time_are_the_same(highest: float) -> None:
    took = Took(0, round(highest * 1000))
    curves = Curves((took, *[None] * (SLOTS - 1)), (None,) * SLOTS, (0,) * SLOTS)
    figure = Drawings(_figures(), curves, Filters(), ENGLISH).run_time().figure

    assert figure is not None
    said = figure["layout"]["yaxis"]["ticktext"]
    assert len(set(said)) == len(said) > 2
    margin = figure["layout"]["margin"]["l"]
    assert margin >= 7 * max(map(len, said)), "a letter has 7 pixels"


async def test_the_month_of_one_environment_is_told_from_the_requests_of_all(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    accepted(site, flow_id)
    accepted(site, flow_id, "test")

    await user.open("/monitoring")
    await user.should_see("all environments together")

    assert "Month's quota, Production" in texts(user)


def test_names_at_the_ends_never_cover_each_other_and_stay_inside() -> None:
    series = [
        Series(name, "var(--fp-c1)", [0, 1, 1, 1], [""] * 4) for name in ("One", "Two", "Three", "A long name here")
    ]
    figure = stacked_bars(_axis(), series, scale(100, str))

    places = sorted(y for _text, y in _names(figure))

    assert all(above - below >= 0.08 for below, above in itertools.pairwise(places))
    assert places[0] >= 0
    assert places[-1] <= 1.05


def test_a_line_breaks_where_nothing_is_known_and_lonely_points_are_dots() -> None:
    figure = lines(_axis(5), [Series("p50", "var(--fp-c1)", [1, None, 2, 3, None], [""] * 5)], scale(3, str))

    assert figure["data"][0]["y"] == [1, None, 2, 3, None]
    assert figure["data"][0]["marker"]["size"] == [6, 0, 0, 6, 0]


def test_titles_are_shown_as_text_in_every_place_of_a_chart() -> None:
    safe = plain(HOSTILE)
    bars = stacked_bars(_axis(), [Series(HOSTILE, "var(--fp-c1)", [1] * 4, [HOSTILE] * 4)], scale(1, str))
    ranks = ranking([Rank(HOSTILE, 1, "failed", "var(--fp-c3)", "1")])

    assert "<" not in safe
    assert bars["data"][0]["hovertext"] == [safe] * 4
    assert "<img" not in bars["layout"]["annotations"][0]["text"]
    assert ranks["layout"]["annotations"][0]["text"] == safe
    assert ranks["data"][0]["hovertext"] == [f"{safe}: 1 failed"]


def test_every_colour_is_a_token_of_the_look() -> None:
    drawings = _drawings(_figures())
    figures = (drawings.requests(), drawings.run_time(), drawings.costs("flow"), drawings.errors(), drawings.at_once())

    def colours(value: Any, name: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for key, one in value.items() for found in colours(one, key)]
        if isinstance(value, list):
            return [found for one in value for found in colours(one, name)]
        return [value] if name in {"color", "gridcolor"} else []

    found = {colour for one in figures for colour in colours(one.figure)}

    assert found
    assert all(colour.startswith("var(--fp-") for colour in found)


def test_the_table_of_a_chart_has_its_numbers() -> None:
    drawing = _drawings(_figures()).requests()

    assert drawing.columns == ("Time", "Completed", "Failed", "Refused")
    assert [[cell.text for cell in row[1:]] for row in drawing.rows] == [["4", "1", "0"], ["2", "0", "3"]]
    assert drawing.label == "Requests by status: 7 jobs, 3 refused"


def test_costs_are_shown_by_flow_or_by_model() -> None:
    drawings = _drawings(_figures())

    assert drawings.costs("flow").columns == ("Time", "Greeting", "Together")
    by_model = drawings.costs("model")
    assert by_model.columns == ("Time", "small (openai)", "big (own)", "Together")
    assert [[cell.text for cell in row[1:]] for row in by_model.rows] == [
        ["$0.0020", "$0.00", "$0.0020"],
        ["$0.00", "unknown", "unknown"],
    ]


def test_a_press_on_an_error_leads_to_its_jobs() -> None:
    filters = Filters(flow_id="flow_1", environment="live")

    drawing = _drawings(_figures(), filters).errors()

    assert drawing.paths == (
        "/jobs?flow=flow_1&tab=refused&code=validation_failed&environment=live",
        "/jobs?flow=flow_1&status=failed&environment=live&error=timeout",
    )
    assert [row[0].path for row in drawing.rows] == list(drawing.paths)


async def test_a_number_leads_to_the_jobs_and_calls_that_it_counts(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    shop = site.database.write_now(create_key, site.owner, "Web shop", "test").id
    failed = [ended(site, flow_id, "failed") for _ in range(2)]
    playground_run(site, flow_id, {"name": "Ada"}, status="failed", error=FAILED)
    refused(site, flow_id, key_id=shop)
    refused(site, flow_id, times=2)

    await user.open(jobs_path(Filters(), "24h", Kind("http_status", False, 2, NOW)))

    assert "Not Playground" in _chosen(user)
    assert {one for one in _hrefs(user) if one.startswith("/jobs/job_")} == {f"/jobs/{one}" for one in failed}

    await user.open("/monitoring?environment=test")
    await user.should_see("Calls by key")
    (path,) = {one for one in _hrefs(user) if "tab=refused" in one and "code=" not in one}
    await user.open(path)
    assert _tab(user, "refused") == "Refused 1"
    await user.open("/jobs?environment=test")
    assert _tab(user, "refused") == "Refused 1"
    assert "1 call was refused" in page_text(user)
    press(user, "Show refused calls")
    await until(lambda: texts(user).count("lang: the flow has no field of this name") == 1)
    assert "Staging" in _chosen(user)
    assert RefusedView(environment="test").path() == "/jobs?tab=refused&environment=test"


def _chosen(user: User) -> list[str]:
    assert user.client is not None
    selects = [one for one in user.client.elements.values() if isinstance(one, ui.select)]
    return [str(one.options[one.value]) for one in selects if isinstance(one.options, dict)]


def _hrefs(user: User) -> set[str]:
    assert user.client is not None
    return {str(one.props["href"]) for one in user.client.elements.values() if one.props.get("href")}


def _tab(user: User, name: str) -> str:
    assert user.client is not None
    return next(
        str(one.props["label"])
        for one in user.client.elements.values()
        if isinstance(one, ui.tab) and one.props["name"] == name
    )


async def test_an_open_page_knows_a_key_that_is_made_later(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    accepted(site, flow_id)
    await user.open("/monitoring")
    await user.should_see("Schedules and webhooks")

    shop = site.database.write_now(create_key, site.owner, "New partner", "live").id
    accepted(site, flow_id, key_id=shop)

    await user.should_see("New partner")
    assert "No known key" not in texts(user)


def test_many_kinds_of_errors_end_in_the_others() -> None:
    kinds = tuple(Kind(f"kind_{at}", at % 2 == 0, 20 - at, NOW) for at in range(9))

    drawing = _drawings(_figures(kinds=kinds)).errors()

    assert drawing.figure is not None
    assert sum(drawing.figure["data"][0]["x"]) == sum(kind.count for kind in kinds)
    assert len(drawing.figure["data"][0]["x"]) == 5
    assert len(drawing.rows) == 9


def test_nothing_to_draw_is_said_in_a_sentence() -> None:
    empty = _figures(statuses=tuple({} for _ in range(SLOTS)), by_status={}, costs={}, kinds=())
    nothing = Curves((None,) * SLOTS, (None,) * SLOTS, (0,) * SLOTS)
    drawings = Drawings(empty, nothing, Filters(), ENGLISH)

    for drawing in (
        drawings.requests(),
        drawings.run_time(),
        drawings.costs("flow"),
        drawings.errors(),
        drawings.waiting(),
    ):
        assert drawing.figure is None
        assert drawing.empty.endswith(".")


def test_an_address_says_what_is_shown_and_what_there_is_not_is_left_out() -> None:
    nowhere = Choices((), ())

    assert View.of({}, nowhere) == View("24h", Filters())
    assert View.of({"range": "9y", "flow": "flow_x", "key": "key_x", "environment": "moon"}, nowhere) == View()
    assert View("7d", Filters("flow_1", "key_2")).path() == "/monitoring?range=7d&flow=flow_1&key=key_2"
    assert View().path() == "/monitoring"


def test_jobs_that_went_on_without_a_step_have_a_colour_and_a_place_among_the_errors() -> None:
    statuses: list[dict[str, int]] = [{} for _ in range(SLOTS)]
    statuses[5] = {"completed": 4, STEPS_FAILED: 2}
    drawings = _drawings(_figures(statuses=tuple(statuses), kinds=(Kind(STEPS_FAILED, False, 2, NOW),)))

    assert drawings.requests().columns == ("Time", "Completed", "Completed, steps failed")
    errors = drawings.errors()
    assert [cell.text for cell in errors.rows[0]] == [
        "A step failed, the job went on",
        "the job went on without it",
        "2",
    ]
    assert errors.paths == ("/jobs?status=steps_failed&environment=public",)


async def test_who_called_what_failed_and_why_stands_by_key(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    shop = site.database.write_now(create_key, site.owner, "Web shop", "live").id
    went_on(site, flow_id, key_id=shop)
    accepted(site, flow_id, key_id=shop)
    accepted(site, flow_id)  # as a schedule starts it: without a key
    refused(site, flow_id, times=3)

    await user.open("/monitoring?range=7d")
    await user.should_see("Calls by key")

    said = texts(user)
    assert "1 completed with failed steps" in said
    assert {"Web shop", "Schedules and webhooks", "No known key"} <= set(said)
    assert user.client is not None
    drawn = [one.props for one in user.client.elements.values()]
    marked = [props for props in drawn if props.get("title") == "1 completed with failed steps"]
    assert len(marked) == 1, "the endpoint's success"
    links = {str(props["href"]) for props in drawn if props.get("href")}
    assert f"/jobs?key={shop}&range=7d" in links
    assert f"/jobs?key={shop}&range=7d&status=steps_failed" in links
    assert "/jobs?range=7d&tab=refused" in links
    assert "/jobs?range=7d&trigger=%3A&environment=public" in links
    assert any("A step failed, the job went on" in text for text in said)
