"""The box "What should your API do?" and the questions of a goal, up to the result of its first run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy.orm import Session

from engine.actions.connections import add_connection
from engine.actions.datasets import add_column, add_dataset, rename_dataset
from engine.actions.deployments import deploy
from engine.actions.flows import save_as, save_draft
from engine.actions.knowledge import add_collection, add_text
from engine.flow.contract import samples_of
from engine.flow.document import Document
from engine.flow.edits import apply_ops, update_node
from engine.nodes.model_answers import SAME_TEXTS
from engine.secrets.sealing import open_vault
from storage.datasets import list_datasets
from storage.first_steps import read_first_steps
from storage.flows import FlowRow, get_flow, list_flows
from storage.jobs import JobFilters, JobRow, list_jobs
from storage.knowledge import list_collections
from storage.questions import find_question
from storage.tables import Job
from tests.factories import asks_person, sets_aside
from tests.stored import failing
from tests.ui.arrange import box, buttons, draft, h1, hrefs, open_page, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, end_run, working
from ui.parts.open_drafts import drafts_of


def goal_links(user: User) -> list[str]:
    return [path for path in hrefs(user) if path.startswith("/start?goal=")]


def type_into(user: User, label: str, text: str) -> None:
    """Types into the box with this label, as the browser reports it."""
    assert user.client is not None
    boxes = [one for one in user.client.elements.values() if isinstance(one, ui.input | ui.textarea)]
    (box,) = (one for one in boxes if one.props.get("aria-label") == label or _label_of(user, one).startswith(label))
    box.set_value(text)


def _label_of(user: User, box: ui.element) -> str:
    assert user.client is not None
    wanted = str(box.props.get("aria-labelledby", ""))
    return next((getattr(one, "text", "") for one in user.client.elements.values() if one.html_id == wanted), "")


async def test_what_is_typed_finds_goals_and_each_leads_to_its_questions(user: User) -> None:
    await user.open("/start")
    assert "/start?goal=summarise-a-page" in goal_links(user)  # an example

    type_into(user, "What should your API do?", "Kundenbewertungen sortieren")

    assert goal_links(user)[0] == "/start?goal=sort-reviews&asked=Kundenbewertungen%20sortieren"
    assert "Nothing does exactly this yet" not in page_text(user)


async def test_a_wish_that_names_two_things_shows_which_goal_does_which(user: User) -> None:
    await user.open("/start?asked=translate+and+summarise")

    assert [path.partition("&")[0] for path in goal_links(user)[:2]] == [
        "/start?goal=translate-a-text",
        "/start?goal=summarise-a-text",
    ]
    assert "For “translate”" in page_text(user)
    assert "For “summarise”" in page_text(user)
    assert "Nothing does exactly this yet" not in page_text(user)


async def test_what_no_goal_does_is_told_with_the_nearest_three_and_the_way_to_an_empty_flow(
    site: Site, user: User
) -> None:
    await user.open("/start?asked=book+a+flight")

    assert "Nothing does exactly this yet." in page_text(user)
    assert len(goal_links(user)) == 3
    assert "/playground/new" in hrefs(user)

    type_into(user, "What should your API do?", "book a flight every Monday at 8")
    said = page_text(user)
    assert said.index("The form there begins with these times.") < said.index("These three come nearest:")
    path = "/playground/new?asked=book%20a%20flight%20every%20Monday%20at%208"
    assert hrefs(user).count(path) == 2  # also where an empty canvas is offered further down
    flow_id = (await user.http_client.get(path)).headers["location"].removeprefix("/playground/")
    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert flow.description == "Asked for: every Monday at 8."

    type_into(user, "What should your API do?", "send an email to a customer")
    assert "No step sends or reads e-mail yet." in page_text(user)
    assert "/docs/nodes/http_request" in hrefs(user)
    assert len(goal_links(user)) == 3


async def test_what_the_flow_leaves_out_of_a_wish_is_told_where_it_is_found_and_where_it_is_made(user: User) -> None:
    asked = "asked=Read+a+page+and+send+me+an+e-mail+every+Monday"
    for path in (f"/start?{asked}", f"/start?goal=report-about-pages&{asked}"):
        await user.open(path)
        assert "“send me an e-mail” is not part of it." in page_text(user)
        assert "No step sends or reads e-mail yet." in page_text(user)
        assert "“Every Monday”:" in page_text(user)
        assert "/docs/nodes/http_request" in hrefs(user)

    await user.open("/start?asked=summarise+a+page+and+book+a+flight")
    assert "None of these does “book a flight”." in page_text(user)
    await user.open("/start?asked=summarise+a+page")
    assert "is not part of it" not in page_text(user)


async def test_the_answers_fill_the_flow_which_runs_and_shows_what_it_answers(site: Site, user: User) -> None:
    await user.open("/start?goal=answer-by-word")
    assert h1(user) == ["Answer differently when a text mentions a word"]
    type_into(user, "Which word should it look for?", "delivery")
    type_into(user, "What is the answer when the word is there?", "We deliver on Friday.")

    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")

    assert "We deliver on Friday." in page_text(user)
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert flow.title == "Answer differently when a text mentions a word"
    made = draft(site, flow.id)
    condition = made.node("condition")
    assert condition is not None
    assert condition.inputs["rules"][0]["right"] == "delivery"
    assert [one["title"] for one in samples_of(made)] == ["First try"]
    assert any(path.startswith(f"/playground/{flow.id}?job=") for path in hrefs(user))
    assert "Deploy API" in buttons(user)


async def test_running_it_again_with_other_answers_changes_the_same_flow(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    async with working(site):
        press(user, "Make it and run it")
        await until(lambda: "We drove an hour for the Rye loaf." in page_text(user))

        type_into(user, "Which word must be in a line?", "burnt")
        press(user, "Run it again")
        await until(lambda: "We drove an hour for the Rye loaf." not in page_text(user))
        await user.should_see("This is what your flow answers")

    assert "My loaf was burnt." in page_text(user)

    assert len(site.database.read_now(list_flows, site.workspace_id)) == 1
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert flow.description.startswith("You send a list"), "other answers do not make it false"


async def test_other_answers_are_saved_without_a_run(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    await user.should_not_see("Save without a run")  # there is no flow yet
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    site.database.write_now(save_as, site.owner, flow.id, flow.title)
    site.database.write_now(deploy, site.owner, flow.id)
    await user.open(f"/start?goal=filter-lines&flow={flow.id}&change=1")
    await user.should_see("Version 1 is live.")

    type_into(user, "Which word must be in a line?", "burnt")
    press(user, "Save without a run")
    await user.should_see("Callers get it once you press Update API on its page.")

    assert "burnt" in draft(site, flow.id).dumps()
    assert len(_runs(site)) == 1
    assert "Version 1 is live, with what you filled in before." in page_text(user)
    assert "Callers get what you filled in once you press Update API." in page_text(user)
    assert "This is from what you filled in before." in page_text(user)


async def test_other_answers_to_a_goal_are_shown_by_a_playground_that_is_open(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")
        (flow,) = site.database.read_now(list_flows, site.workspace_id)
        tab = await drafts_of(site.app).open(open_page(site, user), flow.id)

        type_into(user, "Which word must be in a line?", "burnt")
        press(user, "Run it again")
        await until(lambda: "burnt" in tab.document.dumps())
        await user.should_see("My loaf was burnt.")

    assert tab.document == draft(site, flow.id)
    drafts_of(site.app).leave(tab, "tab")


async def test_the_page_of_a_flow_leads_back_to_the_answers_that_made_it(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    press(user, "Make it and run it")
    await until(lambda: len(_runs(site)) == 1)
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    answers = f"/start?goal=filter-lines&flow={flow.id}&change=1"
    await user.open(f"/flows/{flow.id}")
    assert answers in hrefs(user)

    made = draft(site, flow.id)
    output = made.node("api_output")
    assert output is not None
    other = apply_ops(made, [update_node(output, inputs={"answer": "Nothing of the kind"})])
    site.database.write_now(save_draft, site.owner, flow.id, other, flow.draft_revision)
    await user.open(f"/flows/{flow.id}")
    assert answers not in hrefs(user)


async def test_the_start_page_shows_the_flows_that_were_changed_last(site: Site, user: User) -> None:
    await user.open("/start")
    assert "Your flows" not in page_text(user)

    flow_id = site.flow("Greeting", live=True)
    await user.open("/start")
    assert f"/flows/{flow_id}" in hrefs(user)
    assert "Live v1" in page_text(user)


async def test_the_description_of_a_goal_goes_once_the_flow_does_something_else(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    press(user, "Make it and run it")
    await until(lambda: len(_runs(site)) == 1)
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    made = draft(site, flow.id)
    output = made.node("api_output")
    assert output is not None
    other = apply_ops(made, [update_node(output, inputs={"answer": "Nothing of the kind"})])

    site.database.write_now(save_draft, site.owner, flow.id, other, flow.draft_revision)

    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert flow.description == ""


async def test_a_run_that_was_begun_before_shows_nothing_any_more(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    press(user, "Make it and run it")
    await until(lambda: len(_runs(site)) == 1)
    (first,) = _runs(site)
    await user.should_see("Run it again")
    press(user, "Run it again")
    await until(lambda: len(_runs(site)) == 2)

    def fail(session: Session, job_id: str, message: str) -> None:
        job = session.get_one(Job, job_id)
        job.status, job.completed_at, job.last_seq = "failed", job.created_at + 5, job.last_seq + 1
        job.error = {"message": message}

    (second,) = (one for one in _runs(site) if one.id != first.id)
    site.database.write_now(fail, second.id, "The second run failed.")
    await user.should_see("The second run failed.")

    site.database.write_now(fail, first.id, "The first run failed.")
    await until(lambda: first.id not in site.app.waiters._waiting)
    assert "The first run failed." not in page_text(user)


async def test_enter_opens_the_goal_of_what_stands_in_the_box(user: User) -> None:
    await user.open("/start")
    (box,) = (one for one in user.find(kind=ui.input).elements if one.props.get("type") == "search")

    UserInteraction(user, {box}, None).trigger("keydown.enter", "sort reviews")

    await user.should_see("Something else")
    assert h1(user) == ["Sort reviews into good and bad, with a count"]


async def test_the_times_of_a_wish_are_not_dropped(site: Site, user: User) -> None:
    await user.open("/start?asked=translate+a+text+every+Monday+at+8")
    await user.should_see("“Every Monday at 8”:")
    await user.open("/start?goal=translate-a-text&asked=translate+a+text+every+Monday+at+8")
    assert "once the flow is deployed, you choose the times on its page" in page_text(user)
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert flow.description.endswith("Asked for: every Monday at 8.")
    site.database.write_now(save_draft, site.owner, flow.id, Document(), flow.draft_revision)
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert flow.description == "Asked for: every Monday at 8."  # the rest told what the template does

    await user.open("/start?goal=report-about-pages")
    await user.should_see("By itself, at set times:")
    await user.open("/start?goal=translate-a-text")
    await user.should_not_see("you choose the times on its page")


async def test_what_a_wish_says_is_not_asked_again(site: Site, user: User) -> None:
    await user.open("/start?goal=summarise-a-page&asked=summarise+a+page+in+German+in+2+sentences")
    chosen = [one.value for one in user.find(kind=ui.select).elements]
    assert "German" in chosen
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert "in German, in 2 sentences" in str(draft(site, flow.id).node("prompt"))


async def test_a_flow_and_its_answer_are_there_again_after_a_look_at_another_page(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    type_into(user, "Which word must be in a line?", "burnt")
    async with working(site):
        press(user, "Make it and run it")
        await until(lambda: "My loaf was burnt." in page_text(user))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)

    await user.open("/settings/models")
    await user.open(f"/start?goal=filter-lines&flow={flow.id}")
    await user.should_see("This is what your flow answers")

    assert box(user, "Which word must be in a line?").value == "burnt"
    type_into(user, "Which word must be in a line?", "Rye")
    async with working(site):
        press(user, "Run it again")
        await until(lambda: "We drove an hour for the Rye loaf." in page_text(user))
    assert len(site.database.read_now(list_flows, site.workspace_id)) == 1


@pytest.mark.parametrize("chosen", ["small (box)", "Simulated model"])
async def test_a_flow_keeps_the_model_that_was_chosen_for_it(site: Site, user: User, chosen: str) -> None:
    _connect(site)
    await user.open("/start?goal=translate-a-text")
    model = next(one for one in user.find(kind=ui.select).elements if one.value == "large (box)")
    model.value = chosen
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)

    await user.open(f"/start?goal=translate-a-text&flow={flow.id}")
    assert chosen in _chosen(user)
    assert "large (box)" not in _chosen(user)


@pytest.mark.parametrize(
    ("model", "shown", "kept"),
    [("box:own", "own (box)", "box:own"), ("removed:own", "large (box)", "box:large")],
)
async def test_a_flow_keeps_a_model_that_is_not_offered_while_its_connection_is_there(
    site: Site, user: User, model: str, shown: str, kept: str
) -> None:
    _connect(site)
    await user.open("/start?goal=translate-a-text")
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    made = draft(site, flow.id)
    (own,) = [update_node(node, config={**node.config, "model": model}) for node in made.nodes if node.id == "prompt"]
    site.database.write_now(save_draft, site.owner, flow.id, apply_ops(made, [own]), flow.draft_revision)

    await user.open(f"/start?goal=translate-a-text&flow={flow.id}")
    assert shown in _chosen(user)
    press(user, "Run it again")
    await until(lambda: len(_runs(site)) > 1)
    assert kept in str(draft(site, flow.id).node("prompt"))


def _connect(site: Site) -> None:
    vault = open_vault(site.settings.data)
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm", models=["large", "small"])


def _chosen(user: User) -> list[object]:
    return [one.value for one in user.find(kind=ui.select).elements]


async def test_a_flow_that_was_changed_elsewhere_is_left_as_it_is(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    mine = draft(site, flow.id)
    nodes = tuple(
        node.model_copy(update={"label": "Mine"}) if node.type == "filter_list" else node for node in mine.nodes
    )
    changed = mine.model_copy(update={"nodes": nodes})
    site.database.write_now(save_draft, site.owner, flow.id, changed, flow.draft_revision)

    await user.open(f"/start?goal=filter-lines&flow={flow.id}")
    assert "The flow that you made here was changed since." in page_text(user)
    press(user, "Make it and run it")
    await until(lambda: len(_runs(site)) == 2)

    assert draft(site, flow.id) == changed
    assert len(site.database.read_now(list_flows, site.workspace_id)) == 2


async def test_saving_makes_no_second_flow_where_the_first_was_changed_elsewhere(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")
    (flow,) = list_of_flows(site)
    mine = draft(site, flow.id)
    nodes = tuple(one.model_copy(update={"label": "Mine"}) if one.id == "api_output" else one for one in mine.nodes)
    changed = mine.model_copy(update={"nodes": nodes})
    site.database.write_now(save_draft, site.owner, flow.id, changed, flow.draft_revision)

    type_into(user, "Which word must be in a line?", "burnt")
    press(user, "Save without a run")
    await user.should_see("Nothing was saved.")

    assert f"/playground/{flow.id}" in hrefs(user)
    assert [one.id for one in list_of_flows(site)] == [flow.id]
    assert draft(site, flow.id) == changed


@pytest.mark.parametrize("flow_id", ["flow_unknown", "<script>"])
async def test_an_address_with_an_unknown_flow_shows_the_questions(user: User, flow_id: str) -> None:
    await user.open(f"/start?goal=filter-lines&flow={flow_id}")

    assert "Make it and run it" in buttons(user)
    assert "was changed since" not in page_text(user)


async def test_the_text_that_was_tried_is_shown_and_another_can_be_tried(site: Site, user: User) -> None:
    await user.open("/start?goal=answer-by-word")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This was tried. Try something else:")
        assert box(user, "text").value == "I have a question: what about refund?"
        made = draft(site, list_of_flows(site)[0].id)

        box(user, "text").set_value("When do you open?")
        press(user, "Try it with this")
        await until(lambda: "Thank you for writing. You hear from us tomorrow." in answers(user))

        await user.should_not_see("This is from what you filled in before.")
        questions = [one for one in user.find(kind=ui.input).elements if one.value and "tomorrow" in str(one.value)]
        questions[0].set_value("You hear from us today.")
        await user.should_see("This is from what you filled in before.")
        press(user, "Run it again")
        await until(lambda: "You hear from us today." in answers(user))

        assert box(user, "text").value == "When do you open?", "what was tried is tried again"
        (flow,) = list_of_flows(site)
        assert draft(site, flow.id) != made

        await user.open(f"/start?goal=answer-by-word&flow={flow.id}")
        await user.should_see("This was tried. Try something else:")
        press(user, "Run it again")
        await until(lambda: len(_runs(site)) == 4)
        await user.should_see("This was tried. Try something else:")
        assert box(user, "text").value == "When do you open?", "also after a look at another page"
        box(user, "text").set_value("Any refund?")
        press(user, "Run it again")
        await until(lambda: len(_runs(site)) == 5)
        await user.should_see("This was tried. Try something else:")
    assert box(user, "text").value == "Any refund?", "what was typed counts"


async def test_what_a_question_asks_for_is_not_asked_again_below_the_answer(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")

    assert "This was tried. Try something else:" not in page_text(user)


async def test_once_deployed_the_page_says_that_the_flow_is_live(site: Site, user: User) -> None:
    await user.open("/start?goal=filter-lines")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("This is what your flow answers")
    (flow,) = list_of_flows(site)

    press(user, "Deploy API")
    await user.should_see("Save the flow first")
    press(user, "Save As")
    await user.should_see("Next")
    press(user, "Next")
    await user.should_see("Limits and plan")
    press(user, "Deploy API")

    await user.should_see("Every program with a key can call it now.")
    assert f"/flows/{flow.id}" in hrefs(user)


async def test_the_name_of_the_flow_has_the_chosen_language(site: Site, user: User) -> None:
    await user.open("/start?goal=translate-a-text")
    choose_in(user, "Into which language?", "French")
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    assert [flow.title for flow in list_of_flows(site)] == ["Translate a text into French"]

    choose_in(user, "Into which language?", "Polish")
    await user.should_see("Run it again")
    press(user, "Run it again")
    await until(lambda: len(_runs(site)) == 2)
    assert [flow.title for flow in list_of_flows(site)] == ["Translate a text into Polish"]


@pytest.mark.parametrize(("own", "changed"), [("", False), ("burnt", True)])
async def test_answers_of_ones_own_are_the_first_change(site: Site, user: User, own: str, changed: bool) -> None:
    await user.open("/start?goal=filter-lines")
    if own:
        type_into(user, "Which word must be in a line?", own)
    press(user, "Make it and run it")
    await until(lambda: _runs(site))

    assert site.database.read_now(read_first_steps, site.workspace_id).changed is changed


def list_of_flows(site: Site) -> Sequence[FlowRow]:
    return site.database.read_now(list_flows, site.workspace_id)


def answers(user: User) -> str:
    """The answer of the flow, without the questions above it and the input below."""
    assert user.client is not None
    shown = [one for one in user.client.elements.values() if one.props.get("aria-label") == "What your flow answers"]
    return "\n".join(getattr(child, "text", "") for one in shown for child in one.descendants())


def choose_in(user: User, label: str, word: str) -> None:
    box(user, label).set_value(word)


async def test_an_answer_that_cannot_be_used_is_told_at_its_question_and_makes_no_flow(site: Site, user: User) -> None:
    await user.open("/start?goal=summarise-a-page")
    type_into(user, "Which page should it try first?", "the bakery")
    press(user, "Make it and run it")

    await user.should_see("This is no web address.")
    assert site.database.read_now(list_flows, site.workspace_id) == []


@pytest.mark.parametrize(
    ("code", "todo"), [("node_failed", "Check the address."), ("connect_failed", "try the practice page")]
)
async def test_a_run_that_fails_says_what_happened_and_what_to_do(site: Site, user: User, code: str, todo: str) -> None:
    await user.open("/start?goal=text-of-a-page")
    type_into(user, "Which page should it try first?", "practice.flowport.example/cake-of-1974")
    press(user, "Make it and run it")
    await user.should_see("Your flow is running")
    await until(lambda: _runs(site))

    def fail(session: Session) -> None:
        job = session.get_one(Job, _runs(site)[0].id)
        job.status, job.completed_at, job.last_seq = "failed", job.created_at + 5, job.last_seq + 1
        job.error = {"code": code, "message": "It answered 404.", "why": "It is gone.", "remedy": "Check the address."}

    site.database.write_now(fail)

    await user.should_see("The run stopped before its end")
    assert all(words in page_text(user) for words in ("It answered 404.", "It is gone.", todo))


@pytest.mark.parametrize("part", ["", "FROM job_values"])
async def test_a_run_is_followed_on_when_it_could_not_be_read_for_a_moment(site: Site, user: User, part: str) -> None:
    await user.open("/start?goal=text-of-a-page")
    type_into(user, "Which page should it try first?", "practice.flowport.example/cake-of-1974")
    press(user, "Make it and run it")
    await user.should_see("Your flow is running")
    await until(lambda: _runs(site))

    def fail(session: Session) -> None:
        job = session.get_one(Job, job_id)
        job.status, job.completed_at, job.last_seq = "failed", job.created_at + 5, job.last_seq + 1
        job.error = {"code": "node_failed", "message": "It answered 404."}

    job_id = _runs(site)[0].id
    with failing(site.database.read_engine, part) as failed:
        site.database.write_now(fail)
        await until(lambda: len(failed) > 2)

    await user.should_see("It answered 404.")


def _runs(site: Site) -> Sequence[JobRow]:
    return site.database.read_now(list_jobs, site.workspace_id, JobFilters(environments=("playground",))).jobs


async def test_a_run_that_asks_a_person_is_answered_on_the_same_page(site: Site, user: User) -> None:
    await user.open("/start?goal=answer-by-word")
    press(user, "Make it and run it")
    await until(lambda: bool(_runs(site)))
    question = asks_person(site.database, _runs(site)[0].id, aside=False)
    await user.should_see(question.title)
    sets_aside(site.database, question)
    await user.should_see("Your flow waits for an answer.")

    press(user, "Approve")
    await user.should_see("Your flow is running.")

    assert "Approve" not in buttons(user)
    answered = site.database.read_now(find_question, question.id)
    assert answered is not None
    assert answered.outcome == "approved"


async def test_rows_of_the_first_run_are_told_and_taken_out_again(site: Site, user: User) -> None:
    await user.open("/start?goal=keep-entries")
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("1 row was added to “Kept messages”.", retries=100)
    (dataset,) = site.database.read_now(list_datasets, site.workspace_id)
    assert f"/datasets/{dataset.id}" in hrefs(user)

    assert "A run that tries the flow writes into the table like every other." in page_text(user)

    press(user, "Take it out again")
    await user.should_see("1 row was taken out of “Kept messages” again.")
    assert (table_choice(user).value, table_choice(user).options) == (dataset.id, {dataset.id: "Kept messages"})

    (after,) = site.database.read_now(list_datasets, site.workspace_id)
    assert after.rows == dataset.rows - 1
    assert "Take it out again" not in buttons(user)
    await user.open(f"/jobs/{_runs(site)[0].id}")
    assert f"/datasets/{dataset.id}" in hrefs(user), "the page of the job leads there, too"


async def test_a_viewer_is_offered_no_goal_and_told_why_on_its_page(site: Site) -> None:
    user = await site.sign_in("viewer")
    await user.open("/start")
    assert goal_links(user) == []

    await user.open("/start?goal=summarise-a-page")
    assert "Make it and run it" not in buttons(user)
    assert "Editors and owners can make this flow." in page_text(user)


@pytest.mark.parametrize("goal", ["nobody", "../x"])
async def test_an_unknown_goal_shows_the_start_page(user: User, goal: str) -> None:
    await user.open(f"/start?goal={goal}")
    assert h1(user) == ["Make your first API in a minute"]


async def test_documents_of_ones_own_take_the_place_of_the_practice_documents(site: Site, user: User) -> None:
    mine = site.database.write_now(add_collection, site.owner, "Handbook")
    site.database.write_now(add_text, site.owner, mine, "Holidays", "Every employee has 28 days of holiday a year.")
    await user.open("/start?goal=answer-from-documents")
    assert _documents(user).value == ""
    assert "Use my documents" in buttons(user)

    _documents(user).set_value(mine)
    assert "Your files are ready." in page_text(user)
    assert box(user, "Which question should it try first?").value == ""  # that was one about the practice documents
    type_into(user, "Which question should it try first?", "How many days of holiday are there?")
    press(user, "Make it and run it")
    await until(lambda: len(_runs(site)) == 1)

    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    search = draft(site, flow.id).node("search_knowledge")
    assert search is not None
    assert search.config["collection"] == mine
    assert [one.name for one in site.database.read_now(list_collections, site.workspace_id)] == ["Handbook"]

    await user.open(f"/start?goal=answer-from-documents&flow={flow.id}")
    assert _documents(user).value == mine


async def test_the_first_question_goes_with_the_sample_table_and_comes_back_with_it(site: Site, user: User) -> None:
    mine = site.database.write_now(add_dataset, site.owner, "Our products")
    await user.open("/start?goal=assistant")

    def choose(table: str) -> None:
        label = "Which table may it look into?"
        found = [one for one in user.find(kind=ui.select).elements if one.props.get("aria-label") == label]
        found[-1].set_value(table)  # type: ignore[attr-defined]

    def asked() -> str:
        return str(box(user, "What could somebody ask?").value)

    sample = asked()
    assert "Olive ciabatta" in sample
    choose(mine)
    assert asked() == ""
    choose("Sample products")
    assert asked() == sample
    type_into(user, "What could somebody ask?", "My own")
    choose(mine)
    assert asked() == "My own"


async def test_the_practice_page_that_a_question_names_can_be_looked_at(user: User) -> None:
    await user.open("/start?goal=assistant")
    press(user, "Look at the page")
    await user.should_see("Visit us: opening hours and how to get here | Hearth & Rye")
    assert "lies in Flowport itself" in page_text(user)

    type_into(user, "Which web page may it read?", "https://example.com/visit")
    assert _unseen(user), "its room stays, so that the button below does not move"
    type_into(user, "Which web page may it read?", "practice.flowport.example/bread")
    assert not _unseen(user)
    await user.open("/start?goal=summarise-a-page&asked=summarise+https://example.com/a")
    await user.should_not_see("Look at the page")


def _unseen(user: User) -> list[ui.element]:
    assert user.client is not None
    return [one for one in user.client.elements.values() if "fp-kept-room" in one.classes and one.visible]


async def test_use_my_documents_makes_a_collection_and_takes_it_back_without_files(site: Site, user: User) -> None:
    await user.open("/start?goal=answer-from-documents")

    press(user, "Use my documents")
    await user.should_see("Add to My documents")
    press(user, "Close")

    await until(lambda: not site.database.read_now(list_collections, site.workspace_id))
    assert _documents(user).value == ""


def _documents(user: User) -> ui.select:
    """The choice of documents."""
    return next(
        one
        for one in user.find(kind=ui.select).elements
        if isinstance(one, ui.select) and one.props.get("aria-label") == "Which documents should it answer from?"
    )


async def test_a_table_of_ones_own_is_made_beside_the_question_and_can_be_renamed(site: Site, user: User) -> None:
    await user.open("/start?goal=keep-entries")
    assert user.client is not None
    assert table_choice(user).options == {"Kept messages": "Kept messages (a new table)"}
    made_elsewhere = site.database.write_now(add_dataset, site.owner, "Elsewhere")
    back = next(one for one in user.client.elements.values() if "data-fp-back" in one.props)
    UserInteraction(user, {back}, None).trigger("fpback")
    await until(lambda: made_elsewhere in table_choice(user).options)

    press(user, "Make my own table")
    await user.should_see("Create")
    next(one for one in user.find(kind=ui.input).elements if one.props.get("aria-label") == "Name").value = "Mine"
    press(user, "Create")
    await until(lambda: "Mine" in str(table_choice(user).options))
    async with working(site):
        press(user, "Make it and run it")
        await user.should_see("1 row was added to “Mine”.", retries=100)
        press(user, "Run it again")
        await until(lambda: len(_runs(site)) == 2)

    tables = {one.name: one for one in site.database.read_now(list_datasets, site.workspace_id)}
    assert tables.keys() == {"Elsewhere", "Mine"}
    site.database.write_now(rename_dataset, site.owner, tables["Mine"].id, "Ours")
    (flow,) = list_of_flows(site)
    await user.open(f"/start?goal=keep-entries&flow={flow.id}")
    assert table_choice(user).value == tables["Mine"].id


async def test_a_table_that_was_filled_elsewhere_is_not_called_empty(site: Site, user: User) -> None:
    """Browsers do not tell every page that it is in front again."""
    mine = site.database.write_now(add_dataset, site.owner, "Mine")
    await user.open("/start?goal=assistant")
    table_choice(user).value = mine
    await user.should_see("Nothing is in it yet: fill it")
    site.database.write_now(add_column, site.owner, mine, "name", "string")
    await user.should_see("Open it", retries=100)
    await user.should_not_see("Nothing is in it yet: fill it")


async def test_a_column_of_the_chosen_table_is_added_up(site: Site, user: User) -> None:
    mine = site.database.write_now(add_dataset, site.owner, "Our hours")
    site.database.write_now(add_column, site.owner, mine, "person", "string")
    site.database.write_now(add_column, site.owner, mine, "hours", "number")
    await user.open("/start?goal=add-up-rows&asked=sum+every+Monday+at+8")

    def column(label: str) -> ui.select:
        found = [one for one in user.find(kind=ui.select).elements if one.props.get("aria-label") == label]
        return found[-1]

    assert column("Which column has the numbers?").value == "total"
    assert column("By which column should it group them?").value == "sender"
    table_choice(user).set_value(mine)
    assert list(column("Which column has the numbers?").options) == ["person", "hours"]
    table_choice(user).set_value("Sample invoices")
    assert column("Which column has the numbers?").value == "total"
    assert column("By which column should it group them?").value == "sender"
    table_choice(user).set_value(mine)
    column("Which column has the numbers?").set_value("person")
    assert "There is text in this column." in page_text(user)
    column("Which column has the numbers?").set_value("hours")
    assert "There is text in this column." not in page_text(user)
    column("Which column has the numbers?").set_value(None)
    press(user, "Make it and run it")
    await user.should_see("Choose a column.")
    column("Which column has the numbers?").set_value("hours")
    press(user, "Make it and run it")
    await until(lambda: _runs(site))

    (flow,) = list_of_flows(site)
    assert flow.description.endswith("Asked for: every Monday at 8.")
    added = draft(site, flow.id).node("group_count")
    assert added is not None
    assert (added.config["by"], added.config["measures"][0]["field"]) == ("", "hours")
    await user.open(f"/start?goal=add-up-rows&flow={flow.id}")
    assert column("Which column has the numbers?").value == "hours"
    assert column("By which column should it group them?").value == ""


async def test_what_a_step_warned_of_stands_below_the_answer(site: Site, user: User) -> None:
    said = "2 of 4 items were left out of the numbers: `total` was no number, like `cash`."
    await user.open("/start?goal=add-up-rows")
    press(user, "Make it and run it")
    await until(lambda: _runs(site))
    (job,) = _runs(site)
    end_run(site, job.id, Did("group_count", warnings=(said, SAME_TEXTS)), result={"answer": "Sum 5, 2 rows"})
    await user.should_see("This is what your flow answers")

    assert "Add up:" in page_text(user)
    assert "2 of 4 items were left out of the numbers" in page_text(user)
    assert SAME_TEXTS not in page_text(user)


def table_choice(user: User) -> ui.select:
    """The choice of a table."""
    return next(one for one in user.find(kind=ui.select).elements if "table" in str(one.props.get("aria-label")))
