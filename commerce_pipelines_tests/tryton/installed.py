"""Tryton from its packages, in an environment of its own outside the tree.

It is installed once a user and kept in the user's cache, for Tryton's packages are
none of ours and change nothing between runs. Another version, another list of
packages or another Python is another environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

SERIES: Final = "8.2"
MODULES: Final = (
    *("account", "account_invoice", "account_product", "company", "country", "currency", "party"),
    *("product", "product_attribute", "product_price_list", "purchase", "purchase_request"),
    *("sale", "sale_price_list", "sale_stock_quantity", "sale_supply", "stock", "stock_supply"),
    *("web_shop", "web_user"),
)
_PACKAGES: Final = (
    f"trytond[postgresql]=={SERIES}.*",
    f"proteus=={SERIES}.*",
    "gunicorn==27.*",
    *(f"trytond_{module}=={SERIES}.*" for module in MODULES),
)


class CannotInstall(Exception):
    """Tryton's packages cannot be installed here."""


def environment() -> Path:
    """Returns the environment's directory, installed if it is not there yet.

    Raises:
        CannotInstall: Say, because no package index can be reached.
    """
    home = _cache() / f"tryton-{SERIES}-{_digest()}"
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last, so that an installation that was killed is not taken for one.
        complete = home / "complete"
        if not complete.exists():
            shutil.rmtree(home, ignore_errors=True)
            _install(home)
            complete.touch()
    return home


def _cache() -> Path:
    """Returns a directory of this user's that is there in the next run too."""
    try:
        usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        cache = usual / "commerce-pipelines-tests"
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):
        cache = Path(tempfile.gettempdir()) / f"commerce-pipelines-tests-{os.getuid()}"
        cache.mkdir(exist_ok=True, mode=0o700)
    return cache


def _digest() -> str:
    wanted = " ".join([sys.version, *_PACKAGES])
    return hashlib.sha256(wanted.encode()).hexdigest()[:12]


def _install(home: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin" / "pip"), "install", "--quiet", *_PACKAGES],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = lines[-1] if lines else done.stderr[-300:]
            raise CannotInstall(
                f"Tryton {SERIES} cannot be installed; is a package index reachable? {reason}"
            )
