"""When texts that a person corrected are no longer called the same, and the warning at a question."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui.testing import User
from sqlalchemy.orm import Session

from engine.nodes.model_answers import SAME_TEXTS
from engine.secrets.question_links import question_link_path
from storage.tables import Step
from tests.factories import asks_person
from tests.ui.arrange import accepted
from tests.ui.conftest import Site
from ui.parts.answer_words import SAME_TEXTS_ASKED
from ui.parts.same_texts import texts_differ

LONG = "The kitchen tap drips."
SAME = {"subject": LONG, "urgency": LONG}


@pytest.mark.parametrize(
    ("shown", "differ"),
    [
        (SAME, False),
        ({"output": [{"answer": SAME}]}, False),
        ({"a": "no", "b": "no", "c": "no", "message": LONG}, False),
        ({"subject": LONG, "urgency": "high"}, True),
        ({"output": {"subject": LONG, "urgency": "high", "trade": "high"}}, True),
        ({"summary": LONG}, False),
        (LONG, False),
        (None, False),
    ],
)
def test_texts_differ_where_several_are_shown_and_none_is_repeated(shown: Any, differ: bool) -> None:
    assert texts_differ(shown) is differ


@pytest.mark.parametrize(
    ("values", "warned"), [(SAME, True), ({"subject": LONG, "urgency": "high"}, False), ({"reply": LONG}, False)]
)
async def test_who_is_asked_is_warned_of_the_same_texts(
    site: Site, user: User, values: dict[str, Any], warned: bool
) -> None:
    job_id = accepted(site, site.flow(live=True))
    question = asks_person(site.database, job_id, values)
    site.database.write_now(add_warned_step, job_id)
    strong, _todo = SAME_TEXTS_ASKED

    await user.open("/waiting")
    if warned:
        await user.should_see(strong)
    else:
        await user.should_not_see(strong)
    page = await site.browser().get(question_link_path(site.app.vault, question.id))
    assert (strong in page.text) is warned


def add_warned_step(session: Session, job_id: str) -> None:
    """A step of the job whose answer is the same text in all fields."""
    none = dict.fromkeys(column.name for column in Step.__table__.columns)
    numbers = {"attempt": 1, "tries": 1, "started_at": 1, "ended_at": 2, "duration_ms": 1, "cost_nanos": 0}
    tokens = {"simulated": False, "input_tokens": 0, "output_tokens": 0, "model_calls": 0}
    what = {"job_id": job_id, "node_id": "prompt", "index_path": "", "status": "completed", "warnings": [SAME_TEXTS]}
    session.add(Step(**{**none, **numbers, **tokens, **what}))
