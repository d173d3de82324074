"""Waits for the answer of a dialog that is built for one question and removed afterwards."""

from __future__ import annotations

from typing import Any

from nicegui import ui


async def answer_of(dialog: ui.dialog) -> Any:
    """Opens the dialog, waits for its answer and deletes it. The answer is None when the dialog is only closed."""
    try:
        return await dialog
    finally:
        if not dialog.is_deleted:  # closing the page deletes the dialog
            dialog.delete()
