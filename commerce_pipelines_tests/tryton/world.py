"""Tryton as the contract test's world."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.price_book import PriceTier
from commerce_pipelines_tests.connectors.erp_contract import World
from commerce_pipelines_tests.tryton.people import People
from commerce_pipelines_tests.tryton.server import TrytonServer

# What one unit of the company's currency is worth, as `seed.py` has it.
RATES = {"EUR": Decimal(1), "USD": Decimal("0.5"), "JPY": Decimal("0.2"), "KWD": Decimal("0.25")}


class TrytonWorld(World):
    """A real Tryton, with people in front of it.

    Args:
        server: The server.
        erp: The adapter under test.
    """

    def __init__(self, server: TrytonServer, erp: Erp) -> None:
        self.erp = erp
        self.people = People(server)
        self._server = server
        self._seeded = server.seeded

    @property
    def postgres_url(self) -> str:
        """Returns the address of Tryton's database, for what nobody can do in its windows."""
        return self._server.postgres_url

    def now(self) -> datetime:
        with psycopg.connect(self._server.postgres_url, autocommit=True) as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment.astimezone(UTC)

    def add_product(self, title: str, skus: Sequence[str], option: str = "Size") -> str:
        name = option.casefold()
        return str(
            self.people.create(
                "product.template",
                name=title,
                type="goods",
                default_uom=self._seeded["unit"],
                salable=True,
                sale_uom=self._seeded["unit"],
                purchasable=True,
                purchase_uom=self._seeded["unit"],
                account_category=self._seeded["category"],
                attribute_set=self._seeded["attribute_set"],
                products=[
                    [
                        "create",
                        [
                            {"suffix_code": sku, "attributes": {name: chr(ord("A") + at)}}
                            for at, sku in enumerate(skus)
                        ],
                    ]
                ],
            )
        )

    def rename(self, product: str, title: str) -> None:
        self.people.change("product.template", int(product), name=title)

    def deactivate(self, product: str) -> None:
        self.people.change("product.template", int(product), active=False)

    def delete(self, product: str) -> None:
        self.people.delete("product.template", int(product))

    def set_price(
        self, variant: str, currency_code: str, group: str, tiers: Sequence[PriceTier] | None
    ) -> None:
        price_list = self.price_list(group)
        found = self.people.find(
            "product.price_list.line",
            ["price_list", "=", price_list],
            ["product", "=", int(variant)],
        )
        for line in found:
            self.people.delete("product.price_list.line", line["id"])
        # The first line that fits counts, so the largest quantity comes first.
        for at, tier in enumerate(sorted(tiers or (), reverse=True)):
            amount = tier.amount / RATES[currency_code]
            self.people.create(
                "product.price_list.line",
                price_list=price_list,
                product=int(variant),
                sequence=at,
                quantity=float(tier.min_quantity),
                formula=f"Decimal('{amount}')",
            )

    def price_list(self, group: str) -> int:
        """Returns the price list of a group, made if there is none."""
        if not group:
            return int(self._seeded["everybody"])
        if found := self.people.find("product.price_list", ["name", "=", group]):
            return int(found[0]["id"])
        return self.people.create(
            "product.price_list",
            name=group,
            company=self._seeded["company"],
            price="list_price",
            unit="product_sale",
        )

    def set_stock(self, variant: str, available: Decimal, *, allows_out_of_stock: bool) -> None:
        (row,) = self.people.find(
            "product.product", ["id", "=", int(variant)], fields=("template",)
        )
        rule = "stock_first" if allows_out_of_stock else None
        self.people.change("product.template", row["template"], supply_on_sale=rule)
        present = self.erp.fetch_stock([variant]).levels[variant].available
        missing = float(available) - present
        if missing:
            self.put_in_stock(variant, missing)

    def sell_by_the_box(self, product: str) -> None:
        """Sells a product by the dozen."""
        self.people.change("product.template", int(product), sale_uom=self._seeded["box"])

    def count_in_pieces(self, group: str) -> None:
        """Has a price list count pieces, whatever unit is sold."""
        self.people.change("product.price_list", self.price_list(group), unit="product_default")

    def put_in_stock(self, variant: str, quantity: float) -> None:
        """Moves pieces into the warehouse, or out of it where there are fewer than none."""
        inside, outside = self._seeded["storage"], self._seeded["lost"]
        source, target = (outside, inside) if quantity > 0 else (inside, outside)
        move = self.people.create(
            "stock.move",
            product=int(variant),
            unit=self._seeded["unit"],
            quantity=abs(quantity),
            from_location=source,
            to_location=target,
            company=self._seeded["company"],
            effective_date=date.today(),
        )
        self.people.act("stock.move", move, "do")

    def add_company(self, name: str, group: str, forbidden: Sequence[str] = ()) -> None:
        price_list = self.price_list(group) if group else None
        self.people.create("party.party", name=name, sale_price_list=price_list)
        for variant in forbidden:
            self.set_price(variant, "EUR", group, None)

    def place_order(self, variant: str, quantity: int, placed_at: datetime) -> str:
        party = self.people.create("party.party", name="By telephone")
        sale = self.people.create(
            "sale.sale",
            company=self._seeded["company"],
            party=party,
            currency=self._seeded["currencies"]["EUR"],
            warehouse=self._seeded["warehouse"],
            invoice_method="order",
            shipment_method="order",
            lines=[
                [
                    "create",
                    [
                        {
                            "product": int(variant),
                            "unit": self._seeded["unit"],
                            "quantity": float(quantity),
                            "unit_price": Decimal("1.0000"),
                        }
                    ],
                ]
            ],
        )
        # Nobody can date a sale back in Tryton's windows.
        with psycopg.connect(self._server.postgres_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE sale_sale SET create_date = %s WHERE id = %s",
                [placed_at.astimezone(UTC).replace(tzinfo=None), sale],
            )
        return str(sale)

    def work_on(self, order: str) -> None:
        self.people.act("sale.sale", int(order), "process")

    def references(self, reference: str) -> list[str]:
        rows = self.people.find("sale.sale", ["reference", "=", reference])
        return [str(row["id"]) for row in rows]

    def standing(self, reference: str) -> list[str]:
        """Returns the orders under a reference that are not cancelled."""
        rows = self.people.find(
            "sale.sale", ["reference", "=", reference], ["state", "!=", "cancelled"]
        )
        return [str(row["id"]) for row in rows]
