"""Embedding models through the connections that an owner saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Refusal
from engine.flow.node_context import NodeFailed
from engine.models.connections import ModelConnection, split_model
from engine.models.embeddings import Embedded, Embeddings, Purpose
from storage.database import Database


class SavedEmbeddings:
    """Asks embedding models through the connections that an owner saved."""

    def __init__(
        self,
        database: Database,
        embeddings: Embeddings,
        open_connection: Callable[[Session, str, str], ModelConnection | None],
    ) -> None:
        self._database = database
        self._embeddings = embeddings
        self._open = open_connection

    async def embed(
        self,
        workspace_id: str,
        model: str,
        texts: Sequence[str],
        purpose: Purpose,
        on_call: Callable[[Any], None] | None = None,
        on_key: Callable[[str], None] | None = None,
    ) -> Embedded:
        """Returns the vectors of texts; `model` is `CONNECTION:model-name`. `on_key` is told the key that is used.

        Raises NodeFailed.
        """
        name, model_name = split_model(model)
        try:
            connection = await self._database.read(self._open, workspace_id, name or "")
        except Refusal as refusal:
            raise NodeFailed(f"{refusal.title}.", why=refusal.detail, remedy=refusal.remedy) from refusal
        if connection is None:
            raise NodeFailed(
                f"No model connection is called “{name}”.",
                code=JobErrorCode.MODEL_KEY_MISSING,
                why="It was removed or renamed after this collection began to use it.",
                remedy="The owner can add it under Settings, Models and secrets, or you choose another model for the collection.",
            )
        if on_key is not None and connection.key:
            on_key(connection.key)
        return await self._embeddings.embed(connection, model_name, texts, purpose, on_call=on_call)
