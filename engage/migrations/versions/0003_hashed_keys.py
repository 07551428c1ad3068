"""Secret keys as hashes, several of them; a secret to hash properties with; the audit trail of key use."""

import hashlib
import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    keys = op.create_table(
        "secret_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("last_used_at", sa.String(32)),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.execute(sa.text("PRAGMA secure_delete=ON"))  # what is dropped must not stay in the file
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    named, keep = (context.config.attributes[name] for name in ("secret_key", "keep_secret_key"))
    op.add_column("projects", sa.Column("hash_secret", sa.String(64), nullable=False, server_default=""))
    for project, key in connection.execute(sa.text("SELECT id, secret_key FROM projects")).all():
        values = {
            "id": "key_" + secrets.token_hex(4),
            "project": project,
            "hash": hashlib.sha256(key.encode()).hexdigest(),
            "prefix": key[: min(7, len(key) // 4)],
            "source": "setting" if key == named else "first",
            "created_at": now,
        }
        connection.execute(keys.insert().values(**values))
        secret = {"secret": secrets.token_hex(32), "id": project}
        connection.execute(sa.text("UPDATE projects SET hash_secret = :secret WHERE id = :id"), secret)
        if project == "default" and key != named:
            keep(key)
    with op.batch_alter_table("projects") as table:
        table.drop_column("secret_key")

    op.drop_table("audit")  # nothing ever wrote to it
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("project", sa.String(64)),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("key", sa.String(16)),
        sa.Column("prefix", sa.String(16)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(32)),
    )
    op.create_index("audit_at", "audit", ["at"])


def downgrade() -> None:
    """A hash gives no key back: each project gets a new one."""
    connection = op.get_bind()
    op.add_column("projects", sa.Column("secret_key", sa.String(200), nullable=False, server_default="-"))
    for (project,) in connection.execute(sa.text("SELECT id FROM projects")).all():
        made = {"key": "sk_" + secrets.token_urlsafe(24), "id": project}
        connection.execute(sa.text("UPDATE projects SET secret_key = :key WHERE id = :id"), made)
    with op.batch_alter_table("projects") as table:
        table.drop_column("hash_secret")
    op.drop_table("secret_keys")
    op.drop_table("audit")
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
