-- What kind of no a message met last, to be told while it is still tried.

ALTER TABLE message ADD COLUMN refusal TEXT;

CREATE INDEX message_refused ON message (id) WHERE state IN ('new', 'claimed') AND refusal IS NOT NULL;
