"""The questions that a run asks people."""

from __future__ import annotations

import json

from msgspec.structs import replace

from engine.core.errors import Refusal, StorageUnavailable
from engine.core.json_text import json_text
from engine.core.redaction import Redaction
from engine.flow.node_context import NodeFailed, PersonAnswer, PersonQuestion
from engine.jobs.job_values import encoded
from engine.jobs.questions import Place, ask
from engine.jobs.worker.step_writer import JobRecorder
from engine.run.steps import StepKey
from storage.database import Database

#: The largest size of the values of a question as JSON, in bytes: a person reads them.
MAX_BYTES = 256 * 1024
MAX_TITLE = 500


class Questions:
    """The questions of one attempt at a job. The recorder keeps the ids of those without an answer."""

    def __init__(self, database: Database, recorder: JobRecorder) -> None:
        self._database = database
        self._recorder = recorder

    async def ask(self, key: StepKey, question: PersonQuestion) -> PersonAnswer | None:
        """Asks a question that was not asked before, and returns its answer; None while there is none.

        Raises NodeFailed.
        """
        recorder = self._recorder
        values = dict(question.values)
        text, size = encoded({"values": values, "editable": [name for name in question.editable if name in values]})
        if size > MAX_BYTES:
            raise NodeFailed(
                f"The question to the person has {size:,} bytes of values; it may have {MAX_BYTES:,} (256 KiB).",
                why="A person must be able to read what they decide about.",
                remedy="Ask with less, for example a summary instead of whole pages.",
            )
        title = recorder.redaction.text(" ".join(question.title.split()))[:MAX_TITLE]
        place = Place(key.node_id, key.index_path)
        content = recorder.redaction.in_json(text)
        asked = _without_secrets(question, recorder.redaction)
        try:
            found = await self._database.write(ask, recorder.job.id, recorder.lease, place, asked, content, title)
        except Refusal as refusal:
            raise NodeFailed(
                f"{refusal.detail or refusal.title}.",
                why=refusal.title,
                remedy=refusal.remedy,
                passing=isinstance(refusal, StorageUnavailable),
            ) from refusal
        if found is None:
            recorder.on_lost()
            return None
        if found.open:
            recorder.open_questions.append(found.id)
            return None
        return PersonAnswer(
            approved=found.approved,
            values={**json.loads(text)["values"], **found.answer},
            note=found.note,
            by=found.answered_by,
            expired=found.expired,
        )


def _without_secrets(question: PersonQuestion, redaction: Redaction) -> PersonQuestion:
    """Returns the question as it comes again after a pause, when what is kept of the steps before it has no secrets: an
    answer is found by a digest of what was asked.
    """
    text = json_text([question.title, dict(question.values)])
    hidden = redaction.known_in_json(text)
    if hidden == text:
        return question
    title, values = json.loads(hidden)
    return replace(question, title=title, values=values)
