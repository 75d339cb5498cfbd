"""The imitated systems put together into one application.

Belongs here: which systems there are, and what they share. Does not belong
here: sockets, signals, threads (`server.py`). Another system is another entry
in the list of `build`.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI

from commerce_pipelines.sandbox.brands import routes as brands
from commerce_pipelines.sandbox.brands.access import Access as BrandAccess
from commerce_pipelines.sandbox.brands.errors import BrandsError
from commerce_pipelines.sandbox.brands.register import Register
from commerce_pipelines.sandbox.brands.seeds import load_seeds
from commerce_pipelines.sandbox.control import ControlRoutes
from commerce_pipelines.sandbox.erp import routes as erp
from commerce_pipelines.sandbox.erp.access import Access as ErpAccess
from commerce_pipelines.sandbox.erp.by_hand import ByHandRoutes
from commerce_pipelines.sandbox.erp.errors import ErpError
from commerce_pipelines.sandbox.erp.router import erp_router
from commerce_pipelines.sandbox.erp.seeds import load_seeds as load_erp_seeds
from commerce_pipelines.sandbox.erp.system import ErpSystem
from commerce_pipelines.sandbox.faults import Fault, FaultKind, Faults
from commerce_pipelines.sandbox.gate import CONTROL_PREFIX, Gate
from commerce_pipelines.sandbox.pim.catalogue import Catalogue, Product
from commerce_pipelines.sandbox.pim.routes import PimRoutes
from commerce_pipelines.sandbox.record import Record
from commerce_pipelines.sandbox.sanity.access import Access
from commerce_pipelines.sandbox.sanity.dataset import Dataset
from commerce_pipelines.sandbox.sanity.errors import SanityError
from commerce_pipelines.sandbox.sanity.routes import SanityRoutes, refuse
from commerce_pipelines.sandbox.state_file import StateFile

SANITY_PROJECT_ID = "sandbox"
SANITY_DATASET = "production"


def _new_token() -> str:
    return "sk" + secrets.token_urlsafe(32)


def _new_api_key() -> str:
    return "bk_" + secrets.token_urlsafe(32)


def _new_erp_api_key() -> str:
    return "ek_" + secrets.token_urlsafe(32)


def _new_webhook_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(24)).decode()


@dataclass(frozen=True)
class SandboxOptions:
    """How a sandbox is started.

    Attributes:
        port: Where it listens on loopback; the next free one if taken, 0 for any free one.
        rate_limit: Whether Sanity keeps its 25 mutation requests a second, the brand
            system its 10 requests, and the ERP its 50.
        seed: JSON file with other products for the PIM, other brands, another ERP.
        sanity_token: A token to keep; a new one if not given.
        brands_api_key: The brand system's key to keep; a new one if not given.
        erp_api_key: The ERP's key to keep; a new one if not given.
        erp_webhook_secret: The ERP's secret to keep, `whsec_…`; a new one if not given.
        webhook_secret: The PIM's secret to keep, `whsec_…`; a new one if not given.
        state_file: Where documents, brands, orders and changed products survive a restart.
    """

    port: int = 9100
    rate_limit: bool = True
    seed: Path | None = None
    sanity_token: str = field(default_factory=_new_token, repr=False)
    brands_api_key: str = field(default_factory=_new_api_key, repr=False)
    erp_api_key: str = field(default_factory=_new_erp_api_key, repr=False)
    erp_webhook_secret: str = field(default_factory=_new_webhook_secret, repr=False)
    webhook_secret: str = field(default_factory=_new_webhook_secret, repr=False)
    state_file: Path | None = None


@dataclass(frozen=True)
class Application:
    """What a server runs.

    Attributes:
        gate: The ASGI application.
        addresses: From the base address to what callers need to know.
        close: Closes what was opened.
    """

    gate: Gate
    addresses: Callable[[str], dict[str, dict[str, str]]]
    close: Callable[[], None]


@dataclass(frozen=True)
class _System:
    router: APIRouter
    reset: Callable[[], None]
    address: dict[str, str]
    by_hand: APIRouter | None = None


def build(options: SandboxOptions) -> Application:
    """Puts the systems together.

    Raises:
        ConfigurationError: The seed file is missing, holds no products, or unreadable brands
            or records of the ERP.
    """
    faults, record = Faults(), Record()
    state = StateFile(options.state_file)
    catalogue = Catalogue(state, options.seed)
    systems = {
        "sanity": _sanity(options, state, faults, record),
        "brands": _brands(options, state, faults, record),
        "erp": _erp(options, state, catalogue.originals(), faults, record),
        "pim": _pim(options, catalogue, record),
    }

    def reset() -> None:
        gate.forget_late()
        for system in systems.values():
            system.reset()

    control = ControlRoutes(faults, record, systems.keys(), reset).router()
    routes = [route for system in systems.values() for route in system.router.routes]
    gate = Gate(_interface(control, systems), routes, faults, record)
    return Application(gate, partial(_addresses, systems), state.close)


def _interface(control: APIRouter, systems: Mapping[str, _System]) -> FastAPI:
    app = FastAPI(title="Sandbox", description="Imitations of the outside systems.")
    app.add_exception_handler(SanityError, refuse)
    app.add_exception_handler(BrandsError, brands.refuse)
    app.add_exception_handler(ErpError, erp.refuse)
    parts = [control]
    for system in systems.values():
        parts += [system.router, *([system.by_hand] if system.by_hand else [])]
    for part in parts:
        # An included router is built anew by its first request, in no way that is safe in threads.
        app.router.routes.extend(part.routes)
    return app


def _addresses(systems: Mapping[str, _System], base_url: str) -> dict[str, dict[str, str]]:
    found = {
        name: {"url": f"{base_url}/{name}", **system.address} for name, system in systems.items()
    }
    return found | {"faults": {"url": base_url + CONTROL_PREFIX}}


def _sanity(options: SandboxOptions, state: StateFile, faults: Faults, record: Record) -> _System:
    dataset = Dataset(state)
    access = Access(
        SANITY_PROJECT_ID, SANITY_DATASET, options.sanity_token, limited=options.rate_limit
    )

    def freeze(fault: Fault) -> None:
        if fault.kind is FaultKind.QUERY_LAG:
            dataset.freeze_index()

    faults.on_add(freeze)
    address = {
        "project_id": SANITY_PROJECT_ID,
        "dataset": SANITY_DATASET,
        "token": options.sanity_token,
    }
    return _System(SanityRoutes(dataset, access, faults, record).router(), dataset.reset, address)


def _brands(options: SandboxOptions, state: StateFile, faults: Faults, record: Record) -> _System:
    register = Register(state, load_seeds(options.seed))
    access = BrandAccess(options.brands_api_key, limited=options.rate_limit)
    routes = brands.BrandRoutes(register, access, faults, record)
    return _System(routes.router(), register.reset, {"api_key": options.brands_api_key})


def _erp(
    options: SandboxOptions,
    state: StateFile,
    original: list[Product],
    faults: Faults,
    record: Record,
) -> _System:
    system = ErpSystem(state, load_erp_seeds(options.seed, original))
    access = ErpAccess(options.erp_api_key, limited=options.rate_limit)
    secret = options.erp_webhook_secret
    return _System(
        erp_router(system, access, faults, record),
        system.reset,
        {"api_key": options.erp_api_key, "webhook_secret": secret},
        ByHandRoutes(system, secret, record).router(f"{CONTROL_PREFIX}/erp"),
    )


def _pim(options: SandboxOptions, catalogue: Catalogue, record: Record) -> _System:
    routes = PimRoutes(catalogue, options.webhook_secret, record)
    return _System(routes.router(), catalogue.reset, {"webhook_secret": options.webhook_secret})
