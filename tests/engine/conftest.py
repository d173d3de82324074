"""How time passes in tests of the engine."""

from __future__ import annotations

from typing import Any

from tests.logical_time import loop_factories


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Waiting takes no time (`tests/logical_time.py`)."""
    return loop_factories(item)
