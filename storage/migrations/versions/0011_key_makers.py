"""Adds to the secrets of API keys to whom they were shown.

For older ones it is taken from the audit log, where that goes back far enough.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_key_secrets", sa.Column("created_by", sa.String(), nullable=True))
    connection = op.get_bind()
    # The secret and its entry in the audit log were written in one transaction, so both have the same time.
    lines = connection.execute(
        sa.text(
            "select s.hash, a.actor from api_key_secrets s join audit a on a.subject = s.key_id and a.at = s.created_at"
            " where a.verb in ('create key', 'rotate key')"
        )
    ).all()
    for secret, said in lines:
        # The actor is written as "Ada (user_...)", or as the id alone.
        actor = said.rpartition("(")[2].removesuffix(")")
        connection.execute(
            sa.text("update api_key_secrets set created_by = :actor where hash = :hash"),
            {"actor": actor, "hash": secret},
        )


def downgrade() -> None:
    op.drop_column("api_key_secrets", "created_by")
