"""Adds knowledge: collections, sources, documents, pieces, vectors, and the index for word search."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "knowledge_collections",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("piece_chars", BIG, nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("deleted_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_collections"),
    )
    op.create_index("ix_knowledge_collections_workspace_id", "knowledge_collections", ["workspace_id"])
    op.create_table(
        "knowledge_sources",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("collection_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("stop_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("done", BIG, nullable=False),
        sa.Column("total", BIG, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("document_count", BIG, nullable=False),
        sa.Column("piece_count", BIG, nullable=False),
        sa.Column("char_count", BIG, nullable=False),
        sa.Column("vector_count", BIG, nullable=False),
        sa.Column("input_tokens", BIG, nullable=False),
        sa.Column("cost_nanos", BIG, nullable=True),
        sa.Column("again", sa.String(), nullable=False),
        sa.Column("next_at", BIG, nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("indexed_at", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["knowledge_collections.id"], name="fk_knowledge_sources_collection_id_knowledge_collections"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_sources"),
    )
    op.create_index("ix_knowledge_sources_workspace_id", "knowledge_sources", ["workspace_id"])
    op.create_index("ix_knowledge_sources_collection_id", "knowledge_sources", ["collection_id"])
    op.create_index("ix_knowledge_sources_due", "knowledge_sources", ["state", "next_at"])
    op.create_table(
        "knowledge_contents",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["knowledge_sources.id"], name="fk_knowledge_contents_source_id_knowledge_sources"
        ),
        sa.PrimaryKeyConstraint("source_id", name="pk_knowledge_contents"),
    )
    op.create_table(
        "knowledge_documents",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("collection_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("piece_count", BIG, nullable=False),
        sa.Column("char_count", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["knowledge_sources.id"], name="fk_knowledge_documents_source_id_knowledge_sources"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_documents"),
    )
    op.create_index("ix_knowledge_documents_key", "knowledge_documents", ["source_id", "key"], unique=True)
    op.create_table(
        "knowledge_pieces",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("document_id", BIG, nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("heading", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["knowledge_documents.id"], name="fk_knowledge_pieces_document_id_knowledge_documents"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_pieces"),
    )
    op.create_index("ix_knowledge_pieces_place", "knowledge_pieces", ["document_id", "number"], unique=True)
    op.create_table(
        "knowledge_vectors",
        sa.Column("document_id", BIG, autoincrement=False, nullable=False),
        sa.Column("collection_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("dimensions", BIG, nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["knowledge_documents.id"], name="fk_knowledge_vectors_document_id_knowledge_documents"
        ),
        sa.PrimaryKeyConstraint("document_id", name="pk_knowledge_vectors"),
    )
    op.create_index("ix_knowledge_vectors_collection_id", "knowledge_vectors", ["collection_id"])
    op.create_table(
        "knowledge_writes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("collection_id", sa.String(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", "collection_id", name="pk_knowledge_writes"),
    )
    op.create_index("ix_knowledge_writes_at", "knowledge_writes", ["at"])
    if op.get_bind().dialect.name == "sqlite":
        # A table without a copy of the texts: the pieces hold them. See storage/knowledge_word_index.py.
        op.execute(
            "create virtual table knowledge_words using fts5("
            "owner, heading, text, content='', tokenize='porter unicode61 remove_diacritics 2')"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("drop table knowledge_words")
    for table in (
        "knowledge_writes",
        "knowledge_vectors",
        "knowledge_pieces",
        "knowledge_documents",
        "knowledge_contents",
        "knowledge_sources",
        "knowledge_collections",
    ):
        op.drop_table(table)
