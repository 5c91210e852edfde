"""What the trainee's line was like; the front end's engines among those of a call."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
SPEECH = ("speech_to_text", "wording", "text_to_speech")
FRONT_END = ("echo_cancellation", "noise_reduction")


def upgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        batch.add_column(sa.Column("line", JSON, nullable=True))
    allow_parts(SPEECH + FRONT_END)


def downgrade() -> None:
    listed = ", ".join(f"'{part}'" for part in FRONT_END)
    op.execute(f"DELETE FROM call_engines WHERE part IN ({listed})")
    allow_parts(SPEECH)
    with op.batch_alter_table("calls") as batch:
        batch.drop_column("line")


def allow_parts(parts: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{part}'" for part in parts)
    with op.batch_alter_table("call_engines") as batch:
        batch.drop_constraint(op.f("ck_call_engines_part_known"), type_="check")
        batch.create_check_constraint(op.f("ck_call_engines_part_known"), f"part IN ({listed})")
