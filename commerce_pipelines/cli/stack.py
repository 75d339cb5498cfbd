"""What `up` and `demo` start, in which order, and how the parts find each other.

    PostgreSQL ─► migrations ─► sandbox ─► code server, run server
                                                 └─► webserver, endpoint ─► daemon

The addresses and secrets go to the parts through their environment, and into
`stack.json` (readable by its owner only) for commands in another terminal.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from commerce_pipelines.cli import stack_programs
from commerce_pipelines.cli.stack_programs import LOCATION, LOOPBACK
from commerce_pipelines.runtime.children import Stack
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines.runtime.protocol import Event
from commerce_pipelines.settings import STACK_FILE, Settings

INTERNAL_PORTS = range(20_000, 30_000)
SECRETS_FILE = "secrets.json"


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a running stack are.

    Attributes:
        sandbox: What the sandbox prints of itself; None when real systems are configured.
    """

    endpoint: str
    dagster: str
    postgres: str = field(repr=False)
    home: Path
    sandbox: dict[str, dict[str, str]] | None = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Returns the form that `up --json` prints."""
        shown = {
            "endpoint": {"url": self.endpoint},
            "dagster": {"url": self.dagster},
            "postgres": {"url": self.postgres},
            "home": str(self.home),
        }
        return shown if self.sandbox is None else {**shown, "sandbox": self.sandbox}


@contextmanager
def running_stack(
    home: Path,
    *,
    on_event: Callable[[Event], None],
    settings: Callable[[], Settings] = Settings,
    overrides: Mapping[str, str] | None = None,
) -> Iterator[tuple[Stack, Addresses]]:
    """Starts the whole stack and ends all of it, however the block is left.

    Args:
        home: The directory with everything that the stack keeps.
        on_event: Told what happens to the parts.
        settings: What is configured; asked once the home is ours.
        overrides: Variables for the parts, on top of the settings.

    Raises:
        ConfigurationError: A stack is already running there, or a setting is wrong.
        StackError: A part does not start.
    """
    home = home.absolute()
    with Stack(home, on_event=on_event) as stack:
        (home / STACK_FILE).unlink(missing_ok=True)
        try:
            yield stack, _start(stack, home, settings(), dict(overrides or {}))
        finally:
            (home / STACK_FILE).unlink(missing_ok=True)


def _start(stack: Stack, home: Path, settings: Settings, overrides: dict[str, str]) -> Addresses:
    from commerce_pipelines.store.engine import dagster_url

    postgres = _start_postgres(stack, settings)
    known = {"COMMERCE_HOME": str(home), "POSTGRES_URL": postgres, **overrides}
    sandbox = None
    if settings.sanity_project_id is None or settings.sanity_secret_token is None:
        sandbox = _start_sandbox(stack, home, settings, known)
    webserver = free_port(settings.dagster_port)
    endpoint = free_port(settings.endpoint_port)
    known |= {
        "DAGSTER_URL": f"http://{LOOPBACK}:{webserver}",
        "ENDPOINT_PORT": str(endpoint),
    }
    _write_private(home / STACK_FILE, {name.lower(): value for name, value in known.items()})
    known |= {
        "RUN_SERVER_PORT": str(_internal_port()),
        "RUN_SERVER_SECRET": secrets.token_urlsafe(32),
        "DAGSTER_HOME": str(home / "dagster"),
        "DAGSTER_POSTGRES_URL": dagster_url(postgres),
        "PYTHONUNBUFFERED": "1",
    }
    _start_dagster_and_endpoint(stack, home, known, webserver, endpoint)
    return Addresses(
        endpoint=f"http://{settings.endpoint_host}:{endpoint}",
        dagster=known["DAGSTER_URL"],
        postgres=postgres,
        home=home,
        sandbox=sandbox,
    )


def _start_postgres(stack: Stack, settings: Settings) -> str:
    from commerce_pipelines.store.engine import connect
    from commerce_pipelines.store.schema import migrate

    if settings.postgres_url is not None:
        url = settings.postgres_url.get_secret_value()
    else:
        url = stack.start_postgres()
    engine = connect(url)
    try:
        migrate(engine)
    finally:
        engine.dispose()
    return url


def _start_sandbox(
    stack: Stack, home: Path, settings: Settings, known: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Starts the imitations, adds to what is known, and returns what people need to know."""
    port = free_port(settings.sandbox_port)
    base = f"http://{LOOPBACK}:{port}"
    known |= _sandbox_variables(settings, base, _kept_secrets(home))
    stack.start([stack_programs.sandbox(dict(known), port, home)])
    return _sandbox_addresses(base, known)


def _sandbox_variables(settings: Settings, base: str, kept: Mapping[str, str]) -> dict[str, str]:
    variables = {
        "SANITY_URL": f"{base}/sanity",
        "SANITY_PROJECT_ID": "sandbox",
        "SANITY_DATASET": "production",
        "SANITY_SECRET_TOKEN": kept["sanity_token"],
        "PIM_WEBHOOK_SECRET": kept["pim_webhook_secret"],
        "ENDPOINT_UNSIGNED_LOOPBACK": "true",
    }
    if settings.brands_url is None:
        variables |= {"BRANDS_URL": f"{base}/brands", "BRANDS_API_KEY": kept["brands_api_key"]}
    if settings.erp_url is None:
        variables |= {
            "ERP_KIND": "rest",
            "ERP_URL": f"{base}/erp",
            "ERP_API_KEY": kept["erp_api_key"],
            "ERP_WEBHOOK_SECRET": kept["erp_webhook_secret"],
        }
    return variables


def _sandbox_addresses(base: str, known: Mapping[str, str]) -> dict[str, dict[str, str]]:
    addresses = {
        "sanity": {
            "url": known["SANITY_URL"],
            "project_id": known["SANITY_PROJECT_ID"],
            "dataset": known["SANITY_DATASET"],
            "token": known["SANITY_SECRET_TOKEN"],
        },
        "pim": {"url": f"{base}/pim", "webhook_secret": known["PIM_WEBHOOK_SECRET"]},
        "faults": {"url": f"{base}/faults"},
    }
    if "BRANDS_URL" in known:
        addresses["brands"] = {"url": known["BRANDS_URL"], "api_key": known["BRANDS_API_KEY"]}
    if "ERP_URL" in known:
        addresses["erp"] = {
            "url": known["ERP_URL"],
            "api_key": known["ERP_API_KEY"],
            "webhook_secret": known["ERP_WEBHOOK_SECRET"],
        }
    return addresses


def _start_dagster_and_endpoint(
    stack: Stack, home: Path, known: dict[str, str], webserver: int, endpoint: int
) -> None:
    code = _internal_port()
    workspace = _write_dagster_home(home, code)
    stack.start([stack_programs.code_server(known, code), stack_programs.run_server(known)])
    stack.start(
        [
            stack_programs.webserver(known, webserver, workspace),
            stack_programs.endpoint(known, endpoint),
        ]
    )
    # After the webserver, which has made Dagster's tables by now: both at once would collide.
    stack.start([stack_programs.daemon(known, workspace)])


def _internal_port() -> int:
    """Returns a free port that a stack which starts at the same moment will hardly choose."""
    return free_port(secrets.choice(INTERNAL_PORTS))


def _write_dagster_home(home: Path, code_server_port: int) -> Path:
    directory = home / "dagster"
    directory.mkdir(exist_ok=True)
    shipped = files(__package__).joinpath("dagster.yaml").read_text()
    (directory / "dagster.yaml").write_text(shipped)
    workspace = directory / "workspace.yaml"
    server = {"host": LOOPBACK, "port": code_server_port, "location_name": LOCATION}
    # JSON is YAML, and quotes whatever needs it.
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}, indent=2))
    return workspace


def _kept_secrets(home: Path) -> dict[str, str]:
    """Returns the sandbox's tokens, the same ones each time this home is started."""
    path = home / SECRETS_FILE
    kept = {
        "sanity_token": "sk" + secrets.token_urlsafe(32),
        "brands_api_key": "bk_" + secrets.token_urlsafe(32),
        "erp_api_key": "ek_" + secrets.token_urlsafe(32),
        "erp_webhook_secret": "whsec_" + b64encode(secrets.token_bytes(24)).decode(),
        "pim_webhook_secret": "whsec_" + b64encode(secrets.token_bytes(24)).decode(),
    }
    if path.exists():
        kept |= json.loads(path.read_text())
    _write_private(path, kept)
    return kept


def _write_private(path: Path, content: Mapping[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))
