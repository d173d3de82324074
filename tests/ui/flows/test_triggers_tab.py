"""The tab Schedules and webhooks of a flow's page, and what lists of jobs say of what started a job."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy.orm import Session

from engine.actions.datasets import add_dataset, import_rows
from engine.actions.flows import rename_flow
from engine.actions.hooks import add_hook
from engine.actions.schedules import add_schedule, pause_schedule, remove_schedule
from engine.actions.webhooks import renew_signing_secret
from engine.core.clock import DAY
from engine.core.errors import SignatureInvalid
from engine.flow.times_asked import with_times
from engine.jobs.server.scheduler import Scheduler
from engine.jobs.submit.hook_calls import HookCall, note_refused, receive
from engine.secrets.sealing import open_vault
from engine.triggers.body_mapping import parse_form, payload_of
from storage.dataset_changes import checked_rows
from storage.flows import get_flow
from storage.hooks import HookRow, find_last_call, list_hooks
from storage.jobs import JobFilters, list_jobs, read_value
from storage.members import list_people
from storage.schedules import get_schedule, list_schedules
from storage.tables import Job
from tests.factories import document, greeting
from tests.ui.arrange import box, buttons, page_text, press, press_named, texts, until
from tests.ui.conftest import Site
from ui.flows.web_form_text import web_form_text
from ui.jobs.jobs_csv import CSV_PATH
from ui.page_session import PageSession

MONDAYS = {"kind": "weekly", "days": [1], "time": "09:00"}
HOSTILE = "<img src=x onerror=alert(1)> {{ 7*7 }}"


def select(user: User, label: str) -> ui.select:
    return next(one for one in user.find(kind=ui.select).elements if _label_of(one) == label)


def _label_of(element: ui.element) -> str:
    field: Any = element.parent_slot.parent.parent_slot.parent if element.parent_slot else None
    return getattr(getattr(field, "_label", None), "text", "")


def schedule(site: Site, flow_id: str, title: str = "Monday report", **source: Any) -> str:
    given = source or {"kind": "input", "payload": {"name": "Ada"}}
    return site.database.write_now(add_schedule, site.owner, flow_id, title, MONDAYS, "Europe/Berlin", given)


async def test_secrets_of_webhooks_that_another_key_has_sealed_have_to_be_made_again(
    site: Site, user: User, tmp_path: Path
) -> None:
    flow_id, lost = site.flow("Greeting", live=True), open_vault(tmp_path)
    site.database.write_now(add_hook, site.owner, lost, flow_id, "Form", "link", {})
    site.database.write_now(renew_signing_secret, site.owner, lost, flow_id)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    await user.should_see("Its secret cannot be read any more, so calls are refused: press New address")
    await user.open(f"/flows/{flow_id}?tab=settings")
    await user.should_see("The signing secret cannot be read any more.", retries=40)


async def test_a_schedule_is_added_in_words_and_says_when_it_starts_next(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    assert "No schedule yet" in page_text(user)
    press(user, "Add a schedule")
    await user.should_see("Every Monday at 09:00, UTC")
    await user.should_see("Times are in UTC.")
    select(user, "How often").value = "weekdays"
    await user.should_see("Every weekday at 09:00, UTC")
    select(user, "Time zone").value = "Australia/Lord_Howe"
    await user.should_not_see("Times are in UTC.")
    box(user, "At").value = "07:30"
    await user.should_see("Every weekday at 07:30, Australia/Lord_Howe")
    assert len([said for said in texts(user) if re.fullmatch(r"\w{3} \d+ \w{3} \d{4}, 07:30", said)]) == 5
    box(user, "Name").value = "Mornings"
    press(user, "Save the schedule")
    await user.should_see("The schedule is saved.")

    (row,) = site.database.read_now(list_schedules, site.workspace_id, flow_id)
    assert (row.title, row.timing) == ("Mornings", {"kind": "weekly", "days": [1, 2, 3, 4, 5], "time": "07:30"})
    assert row.time_zone == "Australia/Lord_Howe"
    assert row.source["payload"].keys() == {"name"}
    await user.should_see("Next start:")


async def test_the_form_begins_with_the_times_that_were_wished_for(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(rename_flow, site.owner, flow_id, "Greeting", with_times("It greets.", "every Friday at 8"))
    await user.open(f"/flows/{flow_id}?tab=triggers")
    await user.should_see("“every Friday at 8” was asked for.")
    press(user, "Add a schedule")
    await user.should_see("Every Friday at 08:00, UTC")
    assert "No e-mail is sent." in page_text(user)
    assert "To keep the results in a table, add the step Save rows" in page_text(user)
    await user.should_not_see("This is a practice page.")
    box(user, "name").value = "https://practice.flowport.example/"
    await user.should_see("This is a practice page.")
    press(user, "Save the schedule")
    await user.should_see("The schedule is saved.")
    (row,) = site.database.read_now(list_schedules, site.workspace_id, flow_id)
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).description == "It greets."
    assert user.client is not None
    assert f"/jobs?trigger=schedule:{row.id}" in [one.props.get("href") for one in user.client.elements.values()]

    site.database.write_now(remove_schedule, site.owner, row.id)
    site.database.write_now(
        rename_flow, site.owner, flow_id, "Greeting", with_times("", "every two weeks on Friday at 8")
    )
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a schedule")
    await user.should_see("Every Friday at 08:00, UTC")
    assert "this is the nearest" in page_text(user)


async def test_a_time_zone_is_found_by_what_is_typed_and_a_word_that_is_none_is_told(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a schedule")
    await user.should_see("Every Monday at 09:00, UTC")
    zones = UserInteraction(user, {select(user, "Time zone")}, None)

    zones.trigger("keydown.enter", "Germany")
    await user.should_see("Every Monday at 09:00, Europe/Berlin")
    zones.trigger("blur", HOSTILE)
    await user.should_see("It stays at Europe/Berlin: no time zone is called")
    zones.trigger("blur", "america")
    await user.should_see("several time zones fit “america”.")
    zones.trigger("keydown.tab", "new york")
    await user.should_see("Every Monday at 09:00, America/New_York")
    await user.should_not_see("It stays at")


async def test_a_cron_expression_stands_behind_a_switch_and_is_explained(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a schedule")
    await user.should_see("Write a cron expression instead")
    next(iter(user.find(kind=ui.switch).elements)).value = True
    await user.should_see("Cron expression")
    assert box(user, "Cron expression").value == "0 9 * * 1"
    box(user, "Cron expression").value = "0 9 L * *"
    await user.should_see("At 09:00 on the last day of every month, UTC")
    box(user, "Cron expression").value = "0 9 99 * *"
    await user.should_see("The field for the day of the month cannot be read.")
    press(user, "Save the schedule")
    await user.should_see("The schedule cannot be used as it is")
    assert site.database.read_now(list_schedules, site.workspace_id, flow_id) == []


async def test_a_schedule_starts_with_the_rows_of_a_dataset(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    dataset = site.database.write_now(add_dataset, site.owner, "People")
    site.database.write_now(import_rows, site.owner, dataset, checked_rows([{"Name": "Ada"}, {"Name": "Grace"}]))
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a schedule")
    await user.should_see("It starts with")
    select(user, "It starts with").value = dataset
    await user.should_see("Each start runs the flow once for each row")
    press(user, "Save the schedule")
    await user.should_see("Once for each row of the dataset People")
    (row,) = site.database.read_now(list_schedules, site.workspace_id, flow_id)
    assert row.source == {"kind": "dataset", "dataset_id": dataset, "mapping": {"name": "Name"}}


async def test_a_schedule_says_in_which_tables_the_rows_are_found(site: Site, user: User) -> None:
    dataset = site.database.write_now(add_dataset, site.owner, "Daily prices")
    file = greeting()
    keep = {"id": "k", "type": "dataset_sink", "config": {"dataset": dataset}, "inputs": {"a": "{{ api_input.out }}"}}
    file["nodes"].append(keep)
    file["edges"].append({"id": "e2", "source": "text_template", "target": "k"})
    flow_id = site.flow("Prices", live=True, file=file)
    schedule(site, flow_id)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    await user.should_see("Each start saves rows in")
    await user.should_not_see("To keep the results in a table")
    assert any(one.props.get("href") == f"/datasets/{dataset}" for one in user.find("Daily prices").elements)


async def test_what_came_of_the_starts_is_told_and_a_schedule_is_paused_and_removed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", saved=True)
    refused = schedule(site, flow_id, HOSTILE)
    site.clock.offset += 8 * DAY
    await Scheduler(site.database).pass_over()
    await site.sign_in()  # the session has expired meanwhile
    await user.open(f"/flows/{flow_id}?tab=triggers")
    said = page_text(user)
    zone = site.database.read_now(get_schedule, site.workspace_id, refused).time_zone
    starts = [text for text in texts(user) if re.fullmatch(r"\w{3} \d+ \w{3} \d{4}, \d\d:\d\d, .+", text)]
    assert [text.rpartition(", ")[2] for text in starts] == [zone], "a start is in the time of its schedule"
    for words in (
        HOSTILE,
        "This flow is not deployed.",
        "The last start was refused",
        "Nothing starts before you press Deploy API.",
    ):
        assert words in said
    press_named(user, f"Pause: {HOSTILE}")
    await user.should_see("It does not start until you resume it.")
    assert site.database.read_now(get_schedule, site.workspace_id, refused).paused
    press_named(user, f"Remove: {HOSTILE}")
    await user.should_see("Remove this schedule?")
    press(user, "Remove it")
    await user.should_see("No schedule yet")


async def test_saved_flows_and_the_search_name_schedules(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    made = schedule(site, flow_id, HOSTILE)
    await user.open("/flows")
    await user.should_see(", 09:00, Europe/Berlin")  # whose clock is not the reader's
    site.database.write_now(pause_schedule, site.owner, made)
    await user.open("/flows")
    await user.should_see("Schedule paused")

    person = site.database.read_now(list_people, site.workspace_id)[0]
    cookie = str(user.http_client.cookies["flowport_session"])
    hits = await PageSession(site.app, cookie, "", person).findable("onerror")
    assert (HOSTILE, f"/flows/{flow_id}?tab=triggers", "Greeting") in [(one.title, one.path, one.note) for one in hits]


def _complete(session: Session, job_id: str) -> None:
    job = session.get_one(Job, job_id)
    job.status, job.completed_at, job.last_seq = "completed", job.created_at + 5, job.last_seq + 1


async def test_jobs_say_which_schedule_started_them(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    started = schedule(site, flow_id)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press_named(user, "Start now: Monday report")
    press_named(user, "Start now: Monday report")  # a double click
    await user.should_see("It has started.")
    (job,) = site.database.read_now(list_jobs, site.workspace_id, JobFilters(trigger=f"schedule:{started}")).jobs
    await user.should_see("Show the job")
    assert "By hand" in page_text(user)
    site.database.write_now(_complete, job.id)
    await user.should_see("Show the result", retries=100)
    for path in ("/jobs", f"/jobs?trigger=schedule:{started}", f"/flows/{flow_id}?tab=jobs", f"/jobs/{job.id}"):
        await user.open(path)
        said = page_text(user)
        assert "By hand" in said, path
        assert "Monday report" not in said, path
    await user.open("/jobs?trigger=hook:")
    assert "No job fits these filters" in page_text(user)
    csv = await user.http_client.get(f"{CSV_PATH}?trigger=schedule:{started}")
    assert csv.text.splitlines()[0].endswith("started_by")
    assert csv.text.splitlines()[1].endswith("By hand: Monday report")

    site.clock.offset += 8 * DAY
    await Scheduler(site.database).pass_over()
    await site.sign_in()  # the session has expired meanwhile
    await user.open("/jobs")
    assert page_text(user).count("Monday report") == page_text(user).count("By hand") == 1


async def test_a_webhook_is_added_and_its_address_is_shown_once(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a webhook")
    await user.should_see("Which service calls?")
    select(user, "Which service calls?").value = "github"
    await user.should_see("a new secret is made, and you enter it at GitHub")
    press(user, "Save the webhook")
    await user.should_see("At GitHub open Settings, Webhooks, Add webhook")
    (hook,) = site.database.read_now(list_hooks, site.workspace_id, flow_id)
    assert (hook.title, hook.preset, hook.mapping) == ("GitHub", "github", {})
    assert f"http://test/public/v1/hooks/{hook.id}" in page_text(user)
    press(user, "I have entered it")
    await user.should_not_see("At GitHub open Settings")
    assert "No call has come yet." in page_text(user)


async def test_what_came_fills_the_fields_and_refused_calls_say_why(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    hook = site.database.write_now(add_hook, site.owner, site.app.vault, flow_id, HOSTILE, "link", {})
    call = HookCall({"person": {"called": HOSTILE}}, {"x-event": "new"}, "", "sign up", 10)
    site.database.write_now(note_refused, hook.id, SignatureInvalid("It is forged"), 401, 10, None)
    site.database.write_now(note_refused, hook.id, SignatureInvalid("It was genuine"), 401, 10, call)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    said = page_text(user)
    for words in (HOSTILE, "It is forged", "sign up", "refused, 401"):
        assert words in said
    press_named(user, f"Change: {HOSTILE}")
    await user.should_see("Choose from the last call that came.")
    choice = select(user, "name")
    assert isinstance(choice.options, dict)
    path = json.dumps(["person", "called"])
    assert choice.options[path].startswith("person › called")
    choice.value = path
    press(user, "Save the webhook")
    await until(lambda: site.database.read_now(list_hooks, site.workspace_id, flow_id)[0].mapping)
    answer = site.database.write_now(receive, hook.id, call)
    assert site.database.read_now(read_value, answer.job_id, "payload")["name"] == HOSTILE
    await user.should_see("started a job", retries=100)
    await user.open("/jobs")
    assert HOSTILE in page_text(user)


async def test_who_makes_a_web_page_gets_a_text_with_the_fields_and_the_address(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    await user.should_see("There is another text for a colleague who makes a web page", retries=100)
    to_hooks = next(one.props["href"] for one in user.find("Incoming webhooks").elements if one.tag == "a")
    assert to_hooks == f"/flows/{flow_id}?tab=triggers"
    await user.open(to_hooks)
    press(user, "Add a webhook")
    await user.should_see("For a form on a web page")
    press(user, "Save the webhook")
    await user.should_see("Enter this address at the service.")
    (hook,) = site.database.read_now(list_hooks, site.workspace_id, flow_id)
    to_api = next(one.props["href"] for one in user.find("For a colleague who programs").elements if one.tag == "a")
    assert to_api == f"/flows/{flow_id}?tab=api"

    named = f"For a colleague who makes the web page: {hook.title}"
    buttons_now = [one for one in user.find(kind=ui.button).elements if one.props.get("aria-label") == named]
    of_the_new, of_the_row = sorted(buttons_now, key=lambda one: one.id)
    UserInteraction(user, {of_the_new}, None).click()
    await user.should_see("You need not understand it.")
    said = page_text(user)
    address = re.search(rf"http://\S+/public/v1/hooks/{hook.id}/\w+", said)
    assert address is not None
    assert f"curl -X POST '{address[0]}'" in said
    assert '<textarea name="name" required></textarea>' in said
    assert "--data-urlencode name=..." in said
    assert "Keep the address out of the page" in said
    press(user, "Close")

    UserInteraction(user, {of_the_row}, None).click()
    await user.should_see(f"/public/v1/hooks/{hook.id}/THE-END-THAT-I-SEND-YOU")


def test_a_form_sends_what_the_webhook_looks_for() -> None:
    fields = [
        {"name": "message", "type": "string", "required": True},
        {"name": "from", "type": "string", "format": "email"},
        {"name": "kind", "type": "string", "enum": ["a <b>", "c"]},
        {"name": "count", "type": "integer"},
        {"name": "sure", "type": "boolean"},
        {"name": "source", "type": "string"},
        {"name": "rows", "type": "array"},
        {"name": "price", "type": "number", "required": True},
        {"name": "agrees", "type": "boolean", "required": True},
        {"name": "reply_to_e-mail", "type": "string", "required": True},
        {"name": "email", "type": "string", "example": "Dear all,\nthe heating is cold"},
        {"name": "photo", "type": "file", "required": True},
        {"name": "tags", "type": "array", "required": True},
        {"name": "street", "type": "string", "required": True},
        {"name": "event", "type": "string", "required": True},
        {"name": "first", "type": "string", "required": True},
        {"name": "left", "type": "string", "required": True},
        {"name": "about", "type": "string"},
        {"name": "floor", "type": "string", "required": True},
        {"name": "floor_number", "type": "integer"},
        {"name": "page", "type": "string"},
    ]
    flow = document(
        {
            "format": 1,
            "title": "x",
            "nodes": [{"id": "in", "type": "api_input", "config": {"fields": fields}}],
            "edges": [],
        }
    )
    mapping = {
        "message": {"from": "body", "path": ["it's"]},
        "source": {"from": "text", "text": "web"},
        "street": {"from": "body", "path": ["address", "street"]},
        "event": {"from": "header", "name": "x-event"},
        "first": {"from": "body", "path": [0]},
        "left": {"from": "none"},
        "about": {"from": "header", "name": "x-about"},
        "floor_number": {"from": "body", "path": ["floor"]},
        "page": {"from": "body", "path": ["from"]},
    }
    hook = HookRow("hook_1", "w", "flow_1", "A form", "link", mapping, False, 0, "", None)
    said = web_form_text("Tenants", flow, hook, "https://x.example/h")
    names = ["it's", "from", "kind", "count", "sure", "price", "agrees", "reply_to_e-mail", "email", "floor"]
    assert re.findall(r'(?:name=")([^"]+)"', said) == [name.replace("'", "&#x27;") for name in names]
    assert "  <option>" not in said
    for element in (
        '<select name="kind"><option value=""></option><option>a &lt;b&gt;</option><option>c</option></select>',
        '<input type="email" name="from">',
        '<input type="number" name="count">',
        '<input type="number" name="price" step="any" required>',
        '<select name="sure"><option value=""></option><option>yes</option><option>no</option></select>',
        '<select name="agrees" required><option value=""></option><option>yes</option><option>no</option></select>',
        '<input type="email" name="reply_to_e-mail" required>',
        '<textarea name="email"></textarea>',
        '<input type="number" name="floor" required>',  # a text that is required and a number are filled by it
    ):
        assert element in said
    missing = re.search(r"is refused:\n(- [^\n]+\n)+", said)
    assert missing is not None
    assert re.findall(r"^- (\w+) \(\w+, required\)$", missing[0], re.MULTILINE) == [
        "photo", "tags", "street", "event", "first", "left"
    ]  # fmt: skip
    sent = shlex.split(said.partition("curl -X POST ")[2].partition("\n\n")[0].replace("\\\n", " "))
    assert sent[0] == "https://x.example/h"
    assert sent[2::2] == [f"{name}=..." for name in names]

    # What such a form sends fits the fields, where it is not to send a file.
    form = parse_form(b"it%27s=Hi&from=&kind=&count=&sure=&price=1.5&agrees=no&reply_to_e-mail=a%40b.co&email=&floor=2")
    payload = payload_of(fields, mapping, form, {})
    assert payload == {
        "message": "Hi", "price": 1.5, "agrees": False, "reply_to_e-mail": "a@b.co", "email": "", "source": "web", "floor": "2",
        "floor_number": 2, "page": ""
    }  # fmt: skip


async def test_a_field_takes_a_fixed_text_or_a_path_that_is_typed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}?tab=triggers")
    press(user, "Add a webhook")
    await user.should_see("What fills the fields of the flow")
    select(user, "name").value = "path"
    await user.should_see("Names with points between them")
    box(user, "Path").value = "items.0.name"
    press(user, "Save the webhook")
    await user.should_see("Enter this address at the service.")
    (hook,) = site.database.read_now(list_hooks, site.workspace_id, flow_id)
    assert hook.mapping == {"name": {"from": "body", "path": ["items", 0, "name"]}}
    assert site.database.read_now(find_last_call, site.workspace_id, hook.id) is None


async def test_a_viewer_sees_schedules_and_webhooks_and_changes_none(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    schedule(site, flow_id)
    site.database.write_now(add_hook, site.owner, site.app.vault, flow_id, "A shop", "link", {})
    viewer = await site.sign_in("viewer")
    await viewer.open(f"/flows/{flow_id}?tab=triggers")
    assert "Monday report" in page_text(viewer)
    assert "A shop" in page_text(viewer)
    assert not {"Add a schedule", "Add a webhook", "Start now", "Pause", "Change", "Remove"} & set(buttons(viewer))
