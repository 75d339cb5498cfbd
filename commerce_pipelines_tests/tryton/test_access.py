"""What a real Tryton answers to those whom it does not know."""

from __future__ import annotations

import pytest

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import ConfigurationError, NotFound, Unauthorised
from commerce_pipelines_tests.tryton.conftest import open_tryton
from commerce_pipelines_tests.tryton.server import TrytonServer
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton


def test_a_wrong_key_is_refused_and_not_shown(tryton: TrytonServer) -> None:
    erp = open_tryton(tryton, key="canary-key")

    with pytest.raises(Unauthorised) as caught:
        erp.fetch_stock(["1"])

    assert "canary" not in str(caught.value)
    assert "canary" not in repr(erp)
    erp.close()


def test_an_unknown_shop_is_a_wrong_setting(tryton: TrytonServer) -> None:
    erp = open_tryton(tryton, shop="Another shop")

    with pytest.raises(ConfigurationError, match="ERP_SHOP"):
        erp.fetch_stock(["1"])
    erp.close()


def test_an_unknown_database_is_not_an_empty_one(tryton: TrytonServer) -> None:
    erp = Tryton.open(
        url=tryton.url + "x",
        api_key=tryton.seeded["key"],
        shop="Shop",
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=0.5),
    )

    with pytest.raises(NotFound):
        erp.find_order("order_1")
    erp.close()


def test_the_database_can_be_put_back(
    tryton: TrytonServer, world: TrytonWorld, erp: Tryton
) -> None:
    product = world.add_product("Mug", [])

    tryton.reset()

    assert erp.find_product(product) is None
    assert erp.find_order("order_1") is None
