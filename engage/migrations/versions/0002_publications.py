"""Rulebooks that were published, and the texts of documents as somebody wrote them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("restored", sa.Integer),
    )
    op.add_column("definitions", sa.Column("files", sa.Text))
    op.add_column("definitions", sa.Column("published", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("definitions") as table:
        table.drop_column("published")
        table.drop_column("files")
    op.drop_table("publications")
