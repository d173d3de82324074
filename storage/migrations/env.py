"""What Alembic runs: our connection, our tables."""

from alembic import context

from storage.tables import Base


def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
    """Huey's own tables stand outside autogenerate."""
    return not (kind == "table" and name in {"task", "kv", "schedule", "counter"})


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    include_object=ours,
    transactional_ddl=True,
)
context.run_migrations()
