"""Adds the bytes of files and the words of knowledge to PostgreSQL.

SQLite gets no table: there the bytes lie in the data folder and the words in FTS5.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = (
    "create table file_bytes (id text primary key, sha256 text unique, size bigint not null, at bigint not null)",
    "create index ix_file_bytes_drafts on file_bytes (at) where sha256 is null",
    """create table file_pieces (
           bytes_id text not null references file_bytes (id) on delete cascade, number bigint not null,
           content bytea not null, primary key (bytes_id, number))""",
    "alter table file_pieces alter column content set storage external",
    """create table knowledge_words (
           id bigint primary key, collection_id text not null, source_id text not null, length bigint not null,
           words tsvector not null) with (toast_tuple_target = 128)""",
    "alter table knowledge_words alter column words set statistics 0",
    "create index ix_knowledge_words_words on knowledge_words using gin (words)",
    "create index ix_knowledge_words_collection on knowledge_words (collection_id) include (length)",
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for statement in TABLES:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for table in ("knowledge_words", "file_pieces", "file_bytes"):
            op.execute(f"drop table {table}")
