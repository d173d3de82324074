"""Adds to each flow whether its draft differs in content from its live version.

Old rows are compared by their version numbers; the next change of the draft or the next deployment compares the
documents.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flows", sa.Column("differs_from_live", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "update flows set differs_from_live = true"
        " where live_version is not null and (draft_differs or live_version <> newest_version)"
    )


def downgrade() -> None:
    op.drop_column("flows", "differs_from_live")
