"""`sandbox`: the imitations of the outside systems, in the foreground."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commerce_pipelines.cli.options import Home
from commerce_pipelines.cli.output import print_table, print_text

if TYPE_CHECKING:
    from pydantic import SecretStr

    from commerce_pipelines.settings import Settings

STATE_FILE = "sandbox.sqlite"

Addresses = dict[str, dict[str, str]]

Port = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, show_default="9100", help="Port; 0 for a free one."),
]
RateLimit = Annotated[
    bool,
    typer.Option(
        "--rate-limit/--no-rate-limit",
        help="Sanity's 25 mutation requests a second, the brand system's 10, the ERP's 50.",
    ),
]
Seed = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="JSON file: other products, brands, ERP."),
]
AsLine = Annotated[bool, typer.Option("--json", help="Print one line of JSON when all is ready.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print nothing: tokens have no place in a log.")
]


def sandbox(
    port: Port = None,
    rate_limit: RateLimit = True,
    seed: Seed = None,
    home: Home = None,
    as_json: AsLine = False,
    quiet: Quiet = False,
) -> None:
    """Start the imitations of the outside systems; Ctrl-C ends them.

    With --home they keep their documents, brands, orders and tokens, else they forget everything.

    Example: commerce-pipelines sandbox --port 0 --json
    """
    from commerce_pipelines.sandbox.server import SandboxOptions, serve
    from commerce_pipelines.settings import Settings

    settings = Settings.load(home)
    wanted = settings.sandbox_port if port is None else port
    kept: dict[str, Any] = {"state_file": home / STATE_FILE} if home else {}
    kept |= _known_secrets(settings, wanted)
    options = SandboxOptions(port=wanted, rate_limit=rate_limit, seed=seed, **kept)
    shown = _print_line if as_json else _print_addresses
    serve(options, _print_nothing if quiet else shown)


def _known_secrets(settings: Settings, port: int) -> dict[str, str]:
    """Returns the secrets of the settings, of those systems that are the sandbox's there too."""
    from commerce_pipelines.sandbox.app import SANITY_PROJECT_ID
    from commerce_pipelines.sandbox.server import HOST

    known: dict[str, str] = {}
    # Never hand out the token of a real project.
    if settings.sanity_project_id == SANITY_PROJECT_ID:
        known |= _known("sanity_token", settings.sanity_secret_token)
        known |= _known("webhook_secret", settings.pim_webhook_secret)
    if settings.brands_url == f"http://{HOST}:{port}/brands":
        known |= _known("brands_api_key", settings.brands_api_key)
    if settings.erp_url == f"http://{HOST}:{port}/erp":
        known |= _known("erp_api_key", settings.erp_api_key)
        known |= _known("erp_webhook_secret", settings.erp_webhook_secret)
    return known


def _known(name: str, secret: SecretStr | None) -> dict[str, str]:
    return {name: secret.get_secret_value()} if secret is not None else {}


def _print_nothing(addresses: Addresses) -> None:
    del addresses


def _print_line(addresses: Addresses) -> None:
    print(json.dumps(addresses), flush=True)


def _print_addresses(addresses: Addresses) -> None:
    rows = [
        (system, name, value)
        for system, parts in addresses.items()
        for name, value in parts.items()
    ]
    print_table("The sandbox is up", ["system", "", "value"], rows)
    print_text("Ctrl-C ends it.")
