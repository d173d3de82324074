"""The event loop of the engine's tests."""

from __future__ import annotations

from typing import Any

from tests.logical_time import loop_factories


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Tests run in simulated time (`tests/logical_time.py`)."""
    return loop_factories(item)
