"""The input that code samples and forms begin with: the last one that a person ran, else the flow's sample."""

from __future__ import annotations

import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.jobs import run_in_playground, submit
from engine.actions.keys import TRY_LABEL, create_key
from engine.actions.samples import LONGEST_EXAMPLE, example_payload, next_input
from engine.flow.document import load_document
from engine.jobs.submit.accept import Caller
from storage.flows import get_draft
from storage.tables import Job
from tests.factories import document, flow_file, greeting

SAMPLE = {"name": "Of the template"}


@pytest.fixture
def flow_id(database, ada):
    file = greeting()
    file["nodes"][0]["config"]["samples"] = [{"title": "One", "payload": SAMPLE}]
    made = database.write_now(import_flow, ada, flow_file(file)).flow_id
    database.write_now(deploy, ada, made)
    return made


def ended(database, job_id, status="completed"):
    database.write_now(lambda session: setattr(session.get_one(Job, job_id), "status", status))


def ran(database, ada, flow_id, name, status="completed"):
    """A Playground run that ended."""
    now = load_document(database.read_now(get_draft, ada.workspace_id, flow_id).document)
    ended(database, database.write_now(run_in_playground, ada, flow_id, now, {"name": name}), status)


def called(database, ada, flow_id, name, label, environment):
    """A call through the API that ended."""
    key = database.write_now(create_key, ada, label, environment)
    caller = Caller(ada.workspace_id, key.id, environment)
    ended(database, database.write_now(submit, caller, flow_id, {"name": name}).job_id)


def shown(database, ada, flow_id, which=example_payload, flow=None):
    return database.read_now(which, ada.workspace_id, flow_id, flow or document())


def test_the_last_input_that_ran_comes_before_the_sample(database, ada, flow_id):
    live = load_document(database.read_now(get_draft, ada.workspace_id, flow_id).document)
    assert shown(database, ada, flow_id, flow=live) == SAMPLE
    ran(database, ada, flow_id, "Mine")
    assert shown(database, ada, flow_id, flow=live) == {"name": "Mine"}
    assert shown(database, ada, flow_id, next_input, live) == {"name": "Mine"}


def test_an_input_of_try_it_now_counts_and_one_of_a_caller_does_not(database, ada, flow_id):
    called(database, ada, flow_id, "Tried", TRY_LABEL, "dev")
    called(database, ada, flow_id, "Private", "Shop", "live")
    called(database, ada, flow_id, "Private too", TRY_LABEL, "test")
    assert shown(database, ada, flow_id) == {"name": "Tried"}


def test_an_input_that_failed_is_for_the_next_try_and_not_for_code(database, ada, flow_id):
    ran(database, ada, flow_id, "Good")
    ran(database, ada, flow_id, "Bad", "failed")
    assert shown(database, ada, flow_id) == {"name": "Good"}
    assert shown(database, ada, flow_id, next_input) == {"name": "Bad"}


def test_an_input_that_the_flow_no_longer_takes_or_that_is_long_is_not_code(database, ada, flow_id):
    ran(database, ada, flow_id, "x" * LONGEST_EXAMPLE)
    assert shown(database, ada, flow_id)["name"] != "x" * LONGEST_EXAMPLE
    ran(database, ada, flow_id, "Ada")
    file = greeting()
    file["nodes"][0]["config"]["fields"][0]["max_length"] = 2
    assert shown(database, ada, flow_id, flow=document(file)) != {"name": "Ada"}


def test_values_of_fields_that_are_still_there_are_kept_when_others_are_new(database, ada, flow_id):
    file = greeting()
    start = file["nodes"][0]["config"]
    start["fields"] = [*start["fields"], {"name": "lang", "type": "string", "required": True}]
    start["samples"] = [{"title": "One", "payload": {"lang": "German"}}]
    more = document(file)
    assert shown(database, ada, flow_id, flow=more)["lang"] == "German", "of a sample that lacks a field"

    ran(database, ada, flow_id, "Mine")
    assert shown(database, ada, flow_id, flow=more) == {"name": "Mine", "lang": "German"}
    assert shown(database, ada, flow_id, next_input, more) == {"name": "Mine", "lang": "German"}
