"""The compensation engine: intent before effect, result after, undo in reverse order.

Belongs here: the ledger, its states, and the one way to undo. Does not belong
here: anything about commerce, HTTP or Dagster. See README, "Guarantees".
"""
