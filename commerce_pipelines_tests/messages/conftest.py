"""The shop of the services' tests: a real store and the sandbox's Sanity."""

from __future__ import annotations

from commerce_pipelines_tests.services.conftest import cms, shop

__all__ = ["cms", "shop"]
