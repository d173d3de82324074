"""File permissions of the data folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage.file_modes import make_private
from storage.opening import open_database

pytestmark = pytest.mark.sqlite("They are about the files of SQLite.")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_a_new_folder_and_its_database_are_for_their_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    database = open_database(data)
    database.write_now(lambda _session: None)
    database.read_now(lambda _session: None)
    assert mode(data) == 0o700
    assert {path.name: oct(mode(path)) for path in data.iterdir() if path.is_file() and mode(path) != 0o600} == {}
    assert (data / "flowport.db-wal").exists()
    database.close()


@pytest.fixture
def old_data(new_data: Path) -> Path:
    """A data folder as an earlier release left it."""
    (new_data / "backups").mkdir()
    (new_data / "backups" / "2026.db").write_text("x")
    for path in (new_data, *new_data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return new_data


def test_a_folder_of_an_earlier_release_is_tightened_when_it_is_opened(old_data: Path) -> None:
    open_database(old_data).close()
    assert [oct(mode(path)) for path in (old_data, old_data / "backups")] == ["0o700", "0o700"]
    assert {oct(mode(path)) for path in old_data.rglob("*") if path.is_file()} == {"0o600"}


def test_a_folder_with_files_of_others_stays_open_and_their_files_are_not_touched(old_data: Path) -> None:
    notes = old_data / "notes.txt"
    notes.write_text("for everybody")
    notes.chmod(0o644)
    make_private(old_data)
    assert (mode(old_data), mode(notes)) == (0o755, 0o644)
    assert mode(old_data / "flowport.db") == 0o600
    assert mode(old_data / "backups") == 0o700


def test_a_link_is_not_followed(old_data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "report.txt").write_text("shared")
    (elsewhere / "report.txt").chmod(0o644)
    elsewhere.chmod(0o755)
    (old_data / "backups" / "2026.db").unlink()
    (old_data / "backups").rmdir()
    (old_data / "backups").symlink_to(elsewhere)
    make_private(old_data)
    assert (mode(elsewhere), mode(elsewhere / "report.txt")) == (0o755, 0o644)


def test_a_folder_that_is_shared_with_a_group_on_purpose_stays_so(old_data: Path) -> None:
    (old_data / "backups").chmod(0o2755)
    make_private(old_data)
    assert mode(old_data / "backups") == 0o2750
    assert mode(old_data) == 0o700
