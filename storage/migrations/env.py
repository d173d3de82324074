"""The environment that Alembic runs: it uses the connection and the tables of Flowport."""

from alembic import context

from storage.tables import Base


def is_own_table(thing: object, name: str | None, kind: str, *_: object) -> bool:
    """Leaves the tables of Huey and of FTS5 out of autogenerate."""
    return not (kind == "table" and (name in {"task", "kv", "schedule", "counter"} or name in words))


words = {f"knowledge_words{part}" for part in ("", "_data", "_idx", "_docsize", "_config", "_content")}
connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    include_object=is_own_table,
    transactional_ddl=True,
)
context.run_migrations()
