-- A signed delivery is known by its id alone, whatever it was sent to.

-- One that was taken for several addresses is known from now on as what it was first.
UPDATE idempotency_key AS later SET delivery = NULL
WHERE EXISTS (
  SELECT FROM idempotency_key AS earlier
  WHERE earlier.delivery = later.delivery
    AND (earlier.created_at, earlier.scope) < (later.created_at, later.scope));

DROP INDEX idempotency_key_delivery;

CREATE UNIQUE INDEX idempotency_key_delivery ON idempotency_key (delivery) WHERE delivery IS NOT NULL;
