"""Who gets to work when many ask the store at once."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest
from sqlalchemy import Connection, Engine, text

from commerce_pipelines.endpoint.transactions import AT_WORK, Transactions
from commerce_pipelines.errors import Unavailable

SECONDS = 30.0


def ask(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def test_who_waits_for_others_keeps_nobody_else_waiting(engine: Engine) -> None:
    transactions, over = Transactions(engine), Event()

    def wait(connection: Connection) -> bool:
        return over.wait(SECONDS)

    async def act() -> list[bool]:
        async with asyncio.timeout(SECONDS):
            waiting = [
                asyncio.create_task(transactions.transact(wait, SECONDS))
                for _ in range(2 * AT_WORK)
            ]
            assert await transactions.transact(ask, SECONDS) == 1
            assert not any(each.done() for each in waiting)
            over.set()
            return await asyncio.gather(*waiting)

    assert all(asyncio.run(act()))
    transactions.close()


def test_a_turn_that_was_waited_for_too_long_is_not_lost_to_the_next(engine: Engine) -> None:
    transactions, over = Transactions(engine), Event()

    async def act() -> int:
        for _ in range(2 * AT_WORK):
            with pytest.raises(Unavailable):
                await transactions.run(lambda: over.wait(SECONDS), 0.01)
        over.set()
        return await transactions.transact(ask, SECONDS)

    assert asyncio.run(act()) == 1
    transactions.close()
