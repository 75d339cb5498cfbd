"""What the routes work with: opened and closed with the application.

Belongs here: the store within a time limit, waiting, launching, backpressure. Does not belong
here: anything of a single request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.dagster_webserver import DagsterWebserver
from commerce_pipelines.connectors.erp.opening import open_erp
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.rate_budget import SharedRateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.endpoint.callers import Callers
from commerce_pipelines.endpoint.door import Door, embedded_disk, why_closed
from commerce_pipelines.endpoint.transactions import THREADS, Transactions
from commerce_pipelines.endpoint.waiting import Waiting
from commerce_pipelines.services.enquiries import Enquiries
from commerce_pipelines.services.launching import PRODUCT_UPDATE, Launcher
from commerce_pipelines.settings import Settings
from commerce_pipelines.store.engine import connect, libpq_url
from commerce_pipelines.store.message_reads import finished_among

# Less than the two seconds within which a sender is told that the store is away.
STORE_SECONDS = 1.5
# No request waits for it.
LOOK_SECONDS = 10.0
# Some beside those of the threads: for what the ERP says, and for launching.
CONNECTIONS = THREADS + 4
# More than the largest list of products takes to be stored.
LONGEST_SECONDS = 300

T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """What the routes work with.

    Attributes:
        launcher: Of imports.
        updates: Of product updates.
        enquiries: What the ERP is asked while somebody waits.
        reservation_minutes: How long an order holds pieces when nothing is heard of it.
        dagster_url: Where a person finds the runs, if known.
    """

    engine: Engine
    transactions: Transactions
    callers: Callers
    waiting: Waiting
    door: Door
    launcher: Launcher
    updates: Launcher
    enquiries: Enquiries
    reservation_minutes: int
    dagster_url: str | None

    async def transact(self, work: Callable[[Connection], T], seconds: float = STORE_SECONDS) -> T:
        """Does something in one transaction, in a thread, and returns after its commit.

        Raises:
            Unavailable: It took too long; it may still happen.
        """
        return await self.transactions.transact(work, seconds)


@asynccontextmanager
async def opened(
    settings: Settings, callers: Callers, erp: Erp | None = None
) -> AsyncIterator[Resources]:
    """Opens the resources and closes them after the block.

    Args:
        settings: Of this process.
        callers: Whom it believes.
        erp: The ERP, if it is another than the settings say.

    Raises:
        ConfigurationError: An address cannot be used.
    """
    async with AsyncExitStack() as stays:
        engine = connect(
            settings.require_postgres_url(),
            pool_size=CONNECTIONS,
            application="endpoint",
            longest_seconds=LONGEST_SECONDS,
        )
        stays.callback(engine.dispose)
        webserver = stays.enter_context(_opened_webserver(settings.dagster_url))
        asked = erp or stays.enter_context(_opened_erp(settings))
        transactions = stays.enter_context(closing(Transactions(engine)))
        enquiries = stays.enter_context(closing(_enquiries(engine, asked, settings)))
        updates = stays.enter_context(_started(Launcher(engine, webserver, PRODUCT_UPDATE)))
        launcher = stays.enter_context(_started(Launcher(engine, webserver)))
        waiting, door = _waiting(transactions), _door(transactions, settings)
        await stays.enter_async_context(_under_way(waiting.look(), door.watch()))
        yield Resources(
            engine=engine,
            transactions=transactions,
            callers=callers,
            waiting=waiting,
            door=door,
            launcher=launcher,
            updates=updates,
            enquiries=enquiries,
            reservation_minutes=settings.reservation_minutes,
            dagster_url=settings.dagster_url,
        )


@contextmanager
def _opened_erp(settings: Settings) -> Iterator[Erp | None]:
    """Opens the ERP of the settings, for questions that somebody waits for; None without one."""
    if settings.erp_url is None or settings.erp_api_key is None:
        yield None
        return
    budget = SharedRateBudget(
        libpq_url(settings.require_postgres_url()),
        system="erp",
        per_second=settings.erp_requests_per_second,
    )
    erp = open_erp(
        kind=settings.erp_kind,
        url=settings.erp_url,
        api_key=settings.erp_api_key.get_secret_value(),
        shop=settings.erp_shop,
        budget=budget,
        # Who waits is told sooner; the next one asks again.
        retry=RetryPolicy(budget_seconds=0.0),
        timeout_seconds=settings.pricing_budget_seconds,
    )
    try:
        yield erp
    finally:
        erp.close()
        budget.close()


@contextmanager
def _opened_webserver(url: str | None) -> Iterator[DagsterWebserver | None]:
    if url is None:
        yield None
        return
    with closing(DagsterWebserver(url, retry=RetryPolicy(budget_seconds=2.0))) as webserver:
        yield webserver


def _enquiries(engine: Engine, erp: Erp | None, settings: Settings) -> Enquiries:
    return Enquiries(
        engine,
        erp,
        budget_seconds=settings.pricing_budget_seconds,
        fresh_seconds=settings.price_book_fresh_seconds,
    )


def _waiting(transactions: Transactions) -> Waiting:
    async def finished(message_ids: Collection[int]) -> set[int]:
        return await transactions.transact(
            lambda store: finished_among(store, message_ids), STORE_SECONDS
        )

    return Waiting(finished)


def _door(transactions: Transactions, settings: Settings) -> Door:
    async def closed_because() -> str | None:
        most, disk = settings.messages_most_waiting, embedded_disk(settings)
        return await transactions.transact(
            lambda store: why_closed(store, most, disk), LOOK_SECONDS
        )

    return Door(closed_because)


@contextmanager
def _started(launcher: Launcher) -> Iterator[Launcher]:
    launcher.start()
    try:
        yield launcher
    finally:
        launcher.stop()


@asynccontextmanager
async def _under_way(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does some work beside the block, and cancels it afterwards."""
    tasks = [asyncio.create_task(each) for each in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _of(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


Opened = Annotated[Resources, Depends(_of)]
