"""The README is true: what it must name, it names; what it names is there."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr

import commerce_pipelines
from commerce_pipelines.cli import app
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.endpoint.app import create_app
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.settings import Settings

ROOT = Path(commerce_pipelines.__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="not in a checkout")


def test_every_command_is_named() -> None:
    _expect_named(f"`{name}`" for name in _command_names(typer.main.get_command(app), ""))


def test_every_setting_is_named_with_its_default() -> None:
    text = README.read_text()
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `{name.upper()}` \| (.*?) \| (.*) \|$", text, re.MULTILINE)
        assert row, f"{name.upper()} is not in the settings table"
        assert row[2] == field.description
        assert row[1].strip("`") in {"none", str(field.default), str(field.default).lower()}


def test_every_error_is_named() -> None:
    for module in pkgutil.walk_packages(commerce_pipelines.__path__, "commerce_pipelines."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    _expect_named(f"`{each.__name__}`" for each in _subclasses(CommerceError))


def test_every_job_and_asset_is_named() -> None:
    defs = build_defs()
    jobs = [job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
    keys = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
    _expect_named([*jobs, *keys])


def test_every_asset_check_is_named() -> None:
    keys = build_defs().resolve_asset_graph().asset_check_keys
    assert keys
    _expect_named(sorted(f"`{key.name}`" for key in keys))


def test_every_route_is_named() -> None:
    url = SecretStr("postgresql://nowhere/none")
    settings = Settings(postgres_url=url, endpoint_unsigned_loopback=True)
    paths = create_app(settings).openapi()["paths"]
    plain = [path.replace("{source}", "pim") for path in paths]
    _expect_named(re.sub(r"{\w+}", "{id}", path) for path in plain)


def test_every_folder_of_the_package_is_in_the_house() -> None:
    folders = [each.name for each in (ROOT / "commerce_pipelines").iterdir() if each.is_dir()]
    _expect_named(f"  {name}/" for name in folders if not name.startswith("_"))


def test_every_file_it_names_is_there() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|txt|yaml))`", README.read_text())
    missing = [
        name
        for name in named
        if not any((base / name).exists() for base in (ROOT, ROOT / "commerce_pipelines"))
    ]
    assert missing == []


def _expect_named(names: Iterator[str] | list[str]) -> None:
    text = README.read_text()
    missing = [name for name in names if name not in text]
    assert missing == [], "not in the README"


def _command_names(command: object, prefix: str) -> Iterator[str]:
    commands = getattr(command, "commands", {})
    for name, each in commands.items():
        if getattr(each, "commands", None):
            yield from _command_names(each, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def _subclasses(kind: type[CommerceError]) -> Iterator[type[CommerceError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("commerce_pipelines."):
            yield each
            yield from _subclasses(each)
