"""Adds the places from which people signed in (copied from sessions and the audit log), second factors and recovery
codes.
"""

import ipaddress

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    places = op.create_table(
        "sign_in_places",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("seen_at", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_places_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "place", name=op.f("pk_sign_in_places")),
    )
    if rows := _known_places():
        op.bulk_insert(places, rows)
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("last_step", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )


def downgrade() -> None:
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
    op.drop_table("sign_in_places")


def _known_places() -> list[dict[str, object]]:
    """Returns the 50 newest places of each person."""
    found = op.get_bind().execute(
        sa.text(
            "select user_id, address, max(at) from ("
            " select user_id, address, created_at as at from sessions"
            " union all"
            " select a.subject, a.address, a.at from audit a join users u on u.id = a.subject"
            "  where a.verb in ('sign in', 'set up', 'join', 'reset password') and a.actor like '%(' || a.subject || ')'"
            ") where address <> '' group by user_id, address order by 3 desc"
        )
    )
    rows: dict[tuple[str, str], dict[str, object]] = {}
    counts: dict[str, int] = {}
    for user_id, address, at in found:
        place, network = _place_and_network(address)
        if (user_id, place) not in rows and counts.get(user_id, 0) < 50:
            counts[user_id] = counts.get(user_id, 0) + 1
            rows[user_id, place] = {"user_id": user_id, "place": place, "network": network, "seen_at": at}
    return list(rows.values())


def _place_and_network(address: str) -> tuple[str, str]:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64], address[:64]
    ip = getattr(ip, "ipv4_mapped", None) or ip
    network = str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))
    return (str(ip) if ip.version == 4 else network), network
