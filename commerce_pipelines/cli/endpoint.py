"""`endpoint`: the HTTP interface alone, in the foreground."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from commerce_pipelines.cli.options import Home
from commerce_pipelines.cli.output import print_text


def endpoint(
    home: Home = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when it is ready.")
    ] = False,
) -> None:
    """Serve the HTTP interface alone, as `up` does beside all else; Ctrl-C ends it.

    Example: ENDPOINT_PORT=9000 commerce-pipelines endpoint
    """
    import logging

    from commerce_pipelines.endpoint.server import serve
    from commerce_pipelines.settings import Settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # It would write two lines at every look at the schema, that is at every /readyz.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    serve(Settings.load(home), _print_line if as_json else _print_address)


def _print_line(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)


def _print_address(url: str) -> None:
    print_text(f"The endpoint is at {url}; its pages at {url}/docs.")
