"""Scenarios, calls and what happened in them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    scenarios()
    calls()
    turns()
    call_events()
    call_engines()
    recordings()


def downgrade() -> None:
    for table in ("recordings", "call_engines", "call_events", "turns", "calls", "scenarios"):
        op.drop_table(table)


def scenarios() -> None:
    op.create_table(
        "scenarios",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scenario_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("document", JSON, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scenarios"),
        sa.UniqueConstraint("scenario_id", "version", name="uq_scenarios_scenario_id_version"),
    )


def calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("carrier_call_id", sa.String(), nullable=False),
        sa.Column("scenario_id", sa.String(), nullable=False),
        sa.Column("scenario_version", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("end_reason", sa.String(32), nullable=True),
        sa.Column("ending", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("counters", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.UniqueConstraint("carrier_call_id", name="uq_calls_carrier_call_id"),
        sa.ForeignKeyConstraint(
            ["scenario_id", "scenario_version"],
            ["scenarios.scenario_id", "scenarios.version"],
            name="fk_calls_scenario_id_scenario_version_scenarios",
        ),
        check("calls", "status_known", "status IN ('in_progress', 'ended')"),
        check(
            "calls",
            "end_reason_known",
            "end_reason IN ('persona_ended', 'trainee_hung_up', 'stop_word', 'trainee_silent',"
            " 'time_limit', 'connection_lost', 'refused', 'failed')",
        ),
        check("calls", "outcome_known", "outcome IN ('', 'success', 'failure', 'open')"),
        check("calls", "ended_has_time", "(status = 'ended') = (ended_at IS NOT NULL)"),
        check("calls", "ended_has_reason", "(status = 'ended') = (end_reason IS NOT NULL)"),
        check("calls", "ended_has_duration", "(status = 'ended') = (duration_ms IS NOT NULL)"),
        check("calls", "open_has_no_result", "status = 'ended' OR (ending = '' AND outcome = '')"),
        check("calls", "duration_not_negative", "duration_ms >= 0"),
    )
    op.create_index("ix_calls_started_at", "calls", ["started_at"])
    for column in ("scenario_id", "status", "outcome", "end_reason"):
        op.create_index(f"ix_calls_{column}_id", "calls", [column, "id"])


def turns() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("turn_index", sa.Integer(), nullable=False),
        sa.Column("speaker", sa.String(32), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("response_gap_ms", sa.Integer(), nullable=True),
        sa.Column("stages", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.UniqueConstraint("call_id", "turn_index", name="uq_turns_call_id_turn_index"),
        of_call("turns"),
        check("turns", "speaker_known", "speaker IN ('trainee', 'persona')"),
        check("turns", "index_not_negative", "turn_index >= 0"),
        check("turns", "times_in_order", "start_ms >= 0 AND end_ms >= start_ms"),
        check("turns", "confidence_in_range", "confidence BETWEEN 0 AND 1"),
        check("turns", "confidence_is_trainees", "confidence IS NULL OR speaker = 'trainee'"),
        check(
            "turns",
            "gap_is_personas",
            "(response_gap_ms IS NULL AND stages IS NULL) OR speaker = 'persona'",
        ),
    )


def call_events() -> None:
    op.create_table(
        "call_events",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at_ms", sa.Integer(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "seq", name="pk_call_events"),
        of_call("call_events"),
        check("call_events", "seq_not_negative", "seq >= 0"),
        check("call_events", "time_not_negative", "at_ms >= 0"),
    )


def call_engines() -> None:
    op.create_table(
        "call_engines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("passed_over", JSON, nullable=False),
        sa.Column("since_ms", sa.Integer(), nullable=False),
        sa.Column("broke_at_ms", sa.Integer(), nullable=True),
        sa.Column("broke_code", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_call_engines"),
        sa.UniqueConstraint("call_id", "seq", name="uq_call_engines_call_id_seq"),
        of_call("call_engines"),
        check("call_engines", "part_known", "part IN ('speech_to_text', 'wording', 'text_to_speech')"),
        check("call_engines", "broke_has_code", "(broke_at_ms IS NULL) = (broke_code IS NULL)"),
    )


def recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("rate_hz", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.UniqueConstraint("call_id", name="uq_recordings_call_id"),
        of_call("recordings"),
        check("recordings", "sizes_possible", "rate_hz > 0 AND channels > 0 AND duration_ms >= 0"),
    )


def of_call(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_call_id_calls"
    return sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=name, ondelete="CASCADE")


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    # op.f: the name is final, the naming convention must not be applied to it again.
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
