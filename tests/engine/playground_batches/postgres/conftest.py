"""Links and locks are in threads of their own, so these tests run in real time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Chooses the loop of these tests."""
    return {"real": asyncio.new_event_loop}
