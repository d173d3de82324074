"""Notices and locks need PostgreSQL itself: what leads to another database is told at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.settings import BadSetting
from storage.postgres.process_link import require_notices
from tests.databases import drop, url_of


def test_the_same_database_by_another_address_is_fine(new_data: Path) -> None:
    url = url_of(new_data)
    assert url is not None
    require_notices(url, None)
    require_notices(url, f"{url}&application_name=another")


def test_another_database_and_an_address_without_one_are_refused(new_data: Path) -> None:
    url, other = url_of(new_data), url_of(new_data / "other")
    assert url is not None
    assert other is not None
    try:
        with pytest.raises(BadSetting, match="FLOWPORT_DATABASE_DIRECT_URL names another database"):
            require_notices(url, other, seconds=0.2)
    finally:
        drop(new_data / "other")
    with pytest.raises(BadSetting, match="cannot be reached at the database gone"):
        require_notices(url, "postgresql://flowport:canary@127.0.0.1:1/gone")


def test_a_database_that_is_away_does_not_keep_a_process_from_starting() -> None:
    require_notices("postgresql://flowport@127.0.0.1:1/gone", None)
