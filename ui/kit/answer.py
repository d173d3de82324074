"""What a person answers in a dialog that is made for one question."""

from __future__ import annotations

from typing import Any

from nicegui import ui


async def answer_of(dialog: ui.dialog) -> Any:
    """Waits for the answer (None when the dialog was closed without one) and takes the dialog away."""
    try:
        return await dialog
    finally:
        if not dialog.is_deleted:  # the page may be gone by now
            dialog.delete()
