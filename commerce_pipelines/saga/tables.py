"""The ledger's tables: one row a saga, one a step, and what happened to them.

A step's `plan` holds everything needed to repeat, recognise and undo it; it is
fixed when the intent is committed and never computed again.
"""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
_now = text("now()")

saga = Table(
    "saga",
    metadata,
    Column("saga_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("lock_key", Text, nullable=False),
    Column("root_run_id", Text),
    Column("last_run_id", Text),
    Column("status", Text, nullable=False, server_default="running"),
    Column("pivoted", Boolean, nullable=False, server_default="false"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("holder", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("next_try_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint(
        "status IN ('running', 'succeeded', 'aborting', 'compensated', 'parked')",
        name="saga_status",
    ),
    CheckConstraint(
        "(status IN ('succeeded', 'compensated')) = (finished_at IS NOT NULL)",
        name="saga_finished",
    ),
    CheckConstraint("(holder IS NULL) = (lease_until IS NULL)", name="saga_leased"),
    CheckConstraint(
        "NOT (pivoted AND status IN ('aborting', 'compensated'))", name="saga_forward_only"
    ),
    Index(
        "saga_one_live",
        "kind",
        "lock_key",
        unique=True,
        postgresql_where=text("status IN ('running', 'aborting', 'parked')"),
    ),
    Index("saga_work", "next_try_at", postgresql_where=text("status = 'aborting'")),
    Index("saga_stale", "lease_until", postgresql_where=text("status = 'running'")),
    Index("saga_run", "last_run_id"),
)

saga_step = Table(
    "saga_step",
    metadata,
    Column("saga_id", Text, ForeignKey("saga.saga_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("idem_key", Text, nullable=False, unique=True),
    Column("transactional", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("result", JSONB),
    Column("undo_result", JSONB),
    Column("error", Text),
    Column("undo_tries", Integer, nullable=False, server_default="0"),
    Column("intent_epoch", BigInteger, nullable=False),
    Column("settle_at", DateTime(timezone=True)),
    Column("audit_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_now),
    CheckConstraint(
        "state IN ('intended', 'done', 'refused', 'absent', 'undoing', 'undone', "
        "'superseded', 'parked')",
        name="saga_step_state",
    ),
    CheckConstraint(
        "state NOT IN ('done', 'undoing', 'undone') OR result IS NOT NULL",
        name="saga_step_result",
    ),
    CheckConstraint("state <> 'parked' OR error IS NOT NULL", name="saga_step_parked"),
    CheckConstraint("transactional OR settle_at IS NOT NULL", name="saga_step_settles"),
    CheckConstraint("NOT (transactional AND state = 'intended')", name="saga_step_never_doubt"),
    CheckConstraint("audit_at IS NULL OR state = 'absent'", name="saga_step_audited"),
    Index("saga_step_named", "saga_id", "name", "label", unique=True),
    Index("saga_step_audit", "audit_at", postgresql_where=text("audit_at IS NOT NULL")),
    Index("saga_step_open_parked", "saga_id", postgresql_where=text("state = 'parked'")),
)

saga_event = Table(
    "saga_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("saga_id", Text, nullable=False),
    Column("seq", Integer),
    Column("what", Text, nullable=False),
    Column("epoch", BigInteger),
    Column("who", Text),
    Column("note", Text),
    Index("saga_event_of_saga", "saga_id", "id"),
)

_rules = files(__package__).joinpath("rules.sql").read_text().replace("%", "%%")
event.listen(metadata, "after_create", DDL(_rules))  # type: ignore[no-untyped-call]
