"""The SQL over `saga` and `saga_step`, each statement with its purpose.

Belongs here: what a run, a compensator and the sweep do. Does not belong here:
what a person asks and decides (`operations.py`), and the rules (`rules.sql`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

STEP_COLUMNS: Final = """
    saga_step.saga_id, seq, name, label, idem_key, state, plan, result, error, undo_tries,
    CAST(greatest(extract(epoch FROM settle_at - now()), 0) AS double precision)
        AS settles_in_seconds"""

# Opens a saga, unless a live one of its kind holds the same aggregate.
BEGIN: Final = text("""
    INSERT INTO saga (saga_id, kind, lock_key, root_run_id, last_run_id,
                      epoch, holder, lease_until)
    VALUES (:saga_id, :kind, :lock_key, :run_id, :run_id,
            1, :run_id, now() + make_interval(secs => :lease))
    ON CONFLICT (kind, lock_key) WHERE status IN ('running', 'aborting', 'parked')
    DO NOTHING RETURNING epoch""")

# Locks a saga for a run that wants to go on with it.
LOCK_TO_JOIN: Final = text("""
    SELECT kind, status, epoch, holder = :run_id AS ours,
           coalesce(lease_until > now(), false) AS alive
    FROM saga WHERE saga_id = :saga_id FOR UPDATE""")

# Locks a saga that may be undone now; not one that somebody else has locked.
LOCK_TO_UNDO: Final = text("""
    SELECT kind, epoch, pivoted FROM saga
    WHERE saga_id = :saga_id
      AND (status = 'running' AND :forced
           OR status IN ('running', 'aborting')
              AND coalesce(lease_until < now(), true)
              AND (:forced OR next_try_at <= now()))
    FOR UPDATE SKIP LOCKED""")

# Gives a saga to a holder, in this epoch and status.
LEASE: Final = text("""
    UPDATE saga SET epoch = :epoch, status = :status,
        holder = :holder, lease_until = now() + make_interval(secs => :lease),
        last_run_id = CASE WHEN :status = 'running' THEN :holder ELSE last_run_id END,
        reason = coalesce(reason, :reason)
    WHERE saga_id = :saga_id""")

# Gives a saga up, free to be undone or finished by others, and fences everybody in it.
ABORT: Final = text("""
    UPDATE saga SET status = CASE WHEN pivoted THEN status ELSE 'aborting' END,
        epoch = epoch + 1, reason = :reason,
        holder = NULL, lease_until = NULL, next_try_at = now()
    WHERE saga_id = :saga_id RETURNING NOT pivoted""")

# Says whether a saga may only go forward.
PIVOT: Final = text("UPDATE saga SET pivoted = :pivoted WHERE saga_id = :saga_id")

# Renews the lease and locks the row, if the saga is still ours.
PROVE: Final = text("""
    UPDATE saga SET lease_until = now() + make_interval(secs => :lease)
    WHERE saga_id = :saga_id AND epoch = :epoch AND status = :status""")

# Renews leases; rows in use are skipped, for their user renews them itself.
RENEW: Final = text("""
    UPDATE saga SET lease_until = now() + make_interval(secs => :lease)
    FROM (SELECT saga.saga_id FROM saga
          JOIN unnest(CAST(:ids AS text[]), CAST(:epochs AS bigint[]))
               AS mine(id, epoch)
            ON saga.saga_id = mine.id AND saga.epoch = mine.epoch
          WHERE saga.status IN ('running', 'aborting') AND saga.holder IS NOT NULL
          FOR UPDATE OF saga SKIP LOCKED) AS held
    WHERE saga.saga_id = held.saga_id""")

# The steps of a saga in the order in which they were taken.
STEPS: Final = text(f"""
    SELECT {STEP_COLUMNS} FROM saga_step WHERE saga_id = :saga_id ORDER BY seq""")

# Ends or parks a saga and gives the lease back.
FINISH: Final = text("""
    UPDATE saga SET status = :status, holder = NULL, lease_until = NULL,
        finished_at = CASE WHEN :status = 'parked' THEN NULL ELSE now() END,
        reason = coalesce(:reason, reason)
    WHERE saga_id = :saga_id""")

# Gives a saga back, to be claimed again after a while.
RESCHEDULE: Final = text("""
    UPDATE saga SET holder = NULL, lease_until = NULL,
        next_try_at = now() + make_interval(secs => :delay)
    WHERE saga_id = :saga_id""")

# Aborting sagas that are due, and running ones whose owner is gone; one that goes forward
# may rest like one that is undone.
DUE: Final = text("""
    SELECT saga_id FROM saga
    WHERE (status = 'aborting' AND next_try_at <= now()
           OR status = 'running' AND (next_try_at <= now() OR NOT pivoted))
      AND coalesce(lease_until < now(), true)
    ORDER BY next_try_at, saga_id LIMIT :limit""")

# Sagas that a run gave up, those past their pivot too.
ABORTING_OF_RUN: Final = text("""
    SELECT saga_id FROM saga
    WHERE last_run_id = :run_id
      AND (status = 'aborting' OR status = 'running' AND pivoted AND holder IS NULL)
    ORDER BY saga_id""")

# Writes a step after the ones there are; its key is made from its place.
INSERT_STEP: Final = text(f"""
    WITH next AS (
        SELECT coalesce(max(seq), 0) + 1 AS seq FROM saga_step WHERE saga_id = :saga_id)
    INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional, state, plan,
                           result, intent_epoch, settle_at)
    SELECT :saga_id, seq, :name, :label, :saga_id || '-' || seq, :transactional, :state, :plan,
           :result, :epoch, now() + make_interval(secs => CAST(:settle AS double precision))
    FROM next
    RETURNING {STEP_COLUMNS}""").bindparams(
    bindparam("plan", type_=JSONB), bindparam("result", type_=JSONB(none_as_null=True))
)

# Gives a request that is sent once more its whole time to settle.
SEND_AGAIN: Final = text("""
    UPDATE saga_step SET settle_at = now() + make_interval(secs => :settle), updated_at = now()
    WHERE saga_id = :saga_id AND seq = :seq""")

# Moves a step; what is not known with the move stays.
UPDATE_STEP: Final = text("""
    UPDATE saga_step SET state = :state,
        result = coalesce(:result, result),
        undo_result = coalesce(:undo_result, undo_result),
        error = coalesce(:error, error),
        undo_tries = undo_tries + :tries,
        audit_at = now() + make_interval(secs => CAST(:audit AS double precision)),
        updated_at = now()
    WHERE saga_id = :saga_id AND seq = :seq""").bindparams(
    bindparam("result", type_=JSONB(none_as_null=True)),
    bindparam("undo_result", type_=JSONB(none_as_null=True)),
)
