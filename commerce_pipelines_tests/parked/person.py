"""Somebody at 3 a.m. who has nothing but what `sagas show` prints."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from string import Template
from typing import Any

import psycopg
import requests

from commerce_pipelines_tests.cli.conftest import Commands

Printed = dict[str, Any]
WHY = "the shop's on-call did it"
WHO = "nora"


@dataclass(frozen=True)
class Person:
    """Reads, sends what is printed, types what is printed.

    Attributes:
        run: The command line.
        settings: The environment that the person's shell has.
    """

    run: Commands
    settings: dict[str, str]

    def read(self, saga_id: str) -> Printed:
        """Reads all that is printed of a saga."""
        printed: Printed = self.run("sagas", "show", saga_id, "--json").json()
        return printed

    def send(self, printed: Printed) -> None:
        """Sends what finishes the parked steps, in the order in which it is printed."""
        for step in reversed(printed["steps"]):
            for request in step["requests"]:
                if not request.get("optional"):
                    self.send_one(request)

    def send_one(self, request: Printed) -> None:
        """Sends one request, or runs its SQL."""
        if "sql" in request:
            self.run_sql(request["sql"])
            return
        headers = {
            name: Template(value).substitute(self.settings)
            for name, value in request["headers"].items()
        }
        answer = requests.request(
            request["method"], request["url"], headers=headers, json=request["body"], timeout=30
        )
        # What the print says of a seal: it came too late, and what follows undoes the write.
        landed = answer.status_code == 409 and "409 means that it has landed" in request["why"]
        assert landed or answer.ok, answer.text

    def decide(self, printed: Printed, decision: str) -> None:
        """Types the printed command."""
        (command,) = (each for each in printed["decisions"] if f" sagas {decision} " in each)
        program, *words = shlex.split(command.replace("…", WHY))
        assert program == "commerce-pipelines"
        said = self.run(*words, "--who", WHO)
        assert said.exit_code == 0, said.stderr

    def run_sql(self, script: str) -> None:
        """Runs SQL in the store as `psql` does."""
        url = self.settings["POSTGRES_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute(script.encode())
