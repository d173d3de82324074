"""The flow of every goal runs with its first answers, without a key and without the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.commands.parser import main
from engine.flow.contract import samples_of
from engine.flow.flow_file import FlowFile
from engine.flow.goals import Goal, all_goals
from tests.engine.flow.test_goals import finished
from tests.templates.test_templates import bring_datasets

GOALS = [pytest.param(goal, id=goal.name) for goal in all_goals().goals]
#: Parts of results that may be empty without an error.
MAY_BE_EMPTY = {"not_read"}


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.process
def test_the_flow_of_a_goal_runs_and_answers(goal: Goal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = finished(goal)
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(FlowFile(title=goal.title, description=goal.says, document=document).as_json()))
    bring_datasets(file, tmp_path)
    payload = json.dumps(samples_of(document)[0]["payload"])

    code = main(
        ["flows", "run", str(file), "--approve", "--input", payload, "--data", str(tmp_path)],
        {},
        serve=_never,
        worker=_never,
    )

    said = capsys.readouterr()
    assert code == 0, said.err
    result = json.loads(said.out)
    values = result.get("output", result)
    assert [name for name, value in values.items() if value in (None, "", []) and name not in MAY_BE_EMPTY] == []


def _never(_settings: object) -> int:
    raise AssertionError
