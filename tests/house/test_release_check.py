"""`make release-check` finds each thing that a release may lack."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from scripts.release_check import API_CHANGES, LOCKS, RELEASES, missing

pytestmark = pytest.mark.process  # the locks are checked by make
TODAY = dt.date(2026, 12, 1)
DIGEST = "sha256:" + "0" * 64
READY = {
    "pyproject.toml": '[project]\nversion = "1.2.0"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n### Added\n\n* A.\n\n## [1.1.0] - 2026-11-01\n",
    API_CHANGES: "# Changes of the API\n\n## Unreleased\n\n## 1.2.0\n\n* C.\n",
    "README.md": "![A flow](assets/readme/flow.png)\n",
    "assets/readme/flow.png": "",
    "Dockerfile": f"FROM python:3.13@{DIGEST} AS build\nFROM python:3.13@{DIGEST}\n",
    "compose.yaml": "    image: flowport:1.2.0\n",
    "deploy/kubernetes/api.yaml": "          image: flowport:1.2.0-postgres\n",
    f"{RELEASES}/1.1.0.db.gz": "",
    f"{RELEASES}/1.2.0.db.gz": "",
    # Stands for the project's own: copies what is in inputs.txt into every lock.
    "Makefile": "LOCKS ?= .\nlock:\n" + "".join(f"\t@cp inputs.txt $(LOCKS)/{name}\n" for name in LOCKS),
    "inputs.txt": "a==1\n",
    **dict.fromkeys(LOCKS, "a==1\n"),
}


def lacks(folder: Path, **changed: str | None) -> list[str]:
    """What is missing when these files are other ones; None: are not there."""
    for name, text in (READY | changed).items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return list(missing(folder, TODAY))


def test_a_folder_that_is_ready_lacks_nothing(tmp_path):
    assert lacks(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "pyproject.toml",
            '[project]\nversion = "1.1.0"\n',
            "has the version 1.1.0, the first one of CHANGELOG.md is 1.2.0",
        ),
        ("CHANGELOG.md", "## [1.2.0] - unreleased\n", "says 'unreleased' for 1.2.0: it is not released"),
        ("CHANGELOG.md", "## [1.2.0]\n", "says 'no date' for 1.2.0"),
        ("CHANGELOG.md", "## [1.2.0] - 2026-12-02\n", "2026-12-02, which is in the future"),
        ("CHANGELOG.md", "# Changelog\n", "has no version"),
        ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n", "has no version"),
        ("CHANGELOG.md", "\n## [Unreleased]\n\n* B.\n\n## [1.2.0] - 2026-12-01\n", "has changes under Unreleased"),
        (API_CHANGES, "## Unreleased\n\n* B.\n\n## 1.2.0\n", "api-changes.md has changes under Unreleased"),
        (API_CHANGES, "# Changes of the API\n\n## 1.1.0\n", "api-changes.md has no section `## 1.2.0`"),
        ("assets/readme/flow.png", None, "README.md shows assets/readme/flow.png"),
        ("Dockerfile", "FROM python:3.13\n", "base image python:3.13 without a digest"),
        ("compose.yaml", "    image: flowport:1.1.0\n", "does not name the image flowport:1.2.0"),
        (
            "deploy/kubernetes/api.yaml",
            "          image: flowport:1.1.0-postgres\n",
            "deploy/kubernetes/api.yaml does not name the image flowport:1.2.0",
        ),
        (f"{RELEASES}/1.1.0.db.gz", None, "has no data folder of 1.1.0"),
        ("inputs.txt", None, "could not be checked, as `make lock` failed"),
        *((name, "a==0\n", f"{name} does not fit pyproject.toml") for name in LOCKS),
        *((name, None, f"{name} does not fit pyproject.toml") for name in LOCKS),
    ],
)
def test_what_is_missing_is_named(tmp_path, name, text, said):
    assert any(said in sentence for sentence in lacks(tmp_path, **{name: text}))
