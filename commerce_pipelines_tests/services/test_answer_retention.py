from __future__ import annotations

from sqlalchemy import Engine, text

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.services.retention import Ages, Retention

AGES = Ages(bodies_days=30, messages_days=90, steps_days=30, sagas_days=365)


def test_answers_by_idempotency_key_are_known_for_a_day(engine: Engine, sanity: Sanity) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO idempotency_key (scope, key, request_sha256, status, body, created_at)
                SELECT 's', hours::text, '', 200, '', now() - make_interval(hours => hours)
                FROM generate_series(1, 60) AS hours""")
        )
    retention = Retention(engine, AGES, lambda: sanity, messages_a_page=10)

    deleted = sum(page.get("answers", 0) for page in retention.pages())

    assert deleted == 37
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT max(key::int) FROM idempotency_key")).scalar_one()
    assert kept == 23
