"""Every template is a flow without problems that runs with each of its samples, with no key and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api.commands.parser import main
from engine.flow.document import FlowFile, parse_flow_file
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from engine.outside.practice import PRACTICE_HOST

FOLDER = Path(__file__).parents[2] / "assets" / "templates"
FILES = sorted(FOLDER.glob("*.json"))


def read(path: Path) -> FlowFile:
    file, problems = parse_flow_file(path.read_bytes())
    assert file is not None, problems
    return file


def samples(path: Path) -> list[dict[str, Any]]:
    return next(node for node in read(path).document.nodes if node.type == "api_input").config["samples"]


RUNS = [pytest.param(path, sample, id=f"{path.stem}: {sample['title']}") for path in FILES for sample in samples(path)]


def test_there_are_templates() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_could_be_deployed_as_it_is(path: Path) -> None:
    file = read(path)

    assert deploy_problems(file.document, CATALOG) == []
    assert file.title
    assert file.description.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_stays_on_the_practice_site_and_names_no_real_model(path: Path) -> None:
    text = path.read_text()
    addresses = [word for word in text.replace('"', " ").split() if word.startswith(("http://", "https://"))]

    assert all(address.startswith(f"https://{PRACTICE_HOST}/") for address in addresses)
    assert all(node.config.get("model", "simulated") == "simulated" for node in read(path).document.nodes)


@pytest.mark.parametrize(("path", "sample"), RUNS)
def test_a_template_runs_with_its_sample(
    path: Path, sample: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["flows", "run", str(path), "--input", json.dumps(sample["payload"]), "--data", str(tmp_path)]

    code = main(command, {}, serve=_never, worker=_never)

    said = capsys.readouterr()
    assert code == 0, said.err
    result = json.loads(said.out)
    assert result
    assert all(value not in (None, "", []) for value in result.get("output", result).values())


def _never(_settings: object) -> int:
    raise AssertionError
