"""A company, its web shop and a key, in a fresh database of Tryton.

Run by the Python of Tryton's own environment: `seed.py CONFIG DATABASE`. Prints one JSON
object. Products, prices and stock are made by the tests, over the same interface that
the adapter speaks.
"""

import datetime
import json
import sys
from decimal import Decimal
from typing import Any

from proteus import Model, config

configuration = config.set_trytond(database=sys.argv[2], user="admin", config_file=sys.argv[1])

# They can be imported only once Tryton is set up.
from trytond.modules.account.tests import tools as accounts  # noqa: E402
from trytond.modules.account_invoice.tests import tools as invoices  # noqa: E402
from trytond.modules.company.tests import tools as companies  # noqa: E402

# Rates whose inverse is whole, so that four decimals stay four decimals.
CURRENCIES = {
    "EUR": ("1", 2),
    "USD": ("0.5", 2),
    "JPY": ("0.2", 0),
    "KWD": ("0.25", 3),
}
COUNTRIES = {"DE": "Germany", "US": "United States", "GB": "United Kingdom", "JP": "Japan"}


def add_currencies() -> dict[str, Any]:
    made = {}
    for code, (rate, digits) in CURRENCIES.items():
        currency = Model.get("currency.currency")(name=code, code=code, digits=digits)
        currency.rounding = Decimal(1).scaleb(-digits)
        currency.rates.new(date=datetime.date(2000, 1, 1), rate=Decimal(rate))
        currency.save()
        made[code] = currency
    # Known, but without a rate: nothing can be sold in it.
    Model.get("currency.currency")(name="CHF", code="CHF", rounding=Decimal("0.01")).save()
    return made


def add_books(company: Any) -> Any:
    this_year = datetime.date.today().year
    whole_year = (datetime.date(this_year, 1, 1), datetime.date(this_year, 12, 31))
    year = invoices.set_fiscalyear_invoice_sequences(
        accounts.create_fiscalyear(company, whole_year)
    )
    year.click("create_period")
    accounts.create_chart(company)
    return accounts.get_accounts(company)


def add_category(books: Any) -> Any:
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense = books["expense"]
    category.account_revenue = books["revenue"]
    category.save()
    return category


def add_units() -> tuple[Any, Any]:
    unit = Model.get("product.uom")
    (piece,) = unit.find([("name", "=", "Unit")])
    # Stock of which there may be a part.
    part = unit(name="Piece", symbol="pc", category=piece.category, factor=1.0, rate=1.0)
    part.rounding, part.digits = 0.01, 2
    part.save()
    dozen = unit(name="Box", symbol="box", category=piece.category, factor=12.0)
    dozen.rounding, dozen.digits = 1.0, 0
    dozen.save()
    return part, dozen


def add_attributes() -> Any:
    attributes = Model.get("product.attribute.set")(name="Options")
    attributes.save()
    for name, label in (("size", "Size"), ("colour", "Colour")):
        attribute = Model.get("product.attribute")(name=name, string=label, type_="char")
        attribute.sets.append(Model.get("product.attribute.set")(attributes.id))
        attribute.save()
    return attributes


def add_party(name: str) -> Any:
    party = Model.get("party.party")(name=name)
    party.save()
    return party


def add_shop(company: Any, currency: Any) -> tuple[Any, Any]:
    everybody = Model.get("product.price_list")(
        name="Everybody", company=company, price="list_price", unit="product_sale"
    )
    everybody.save()
    (warehouse,) = Model.get("stock.location").find([("type", "=", "warehouse")])
    shop = Model.get("web.shop")(name="Shop", company=company, currency=currency)
    shop.warehouses.append(Model.get("stock.location")(warehouse.id))
    shop.guest_party = add_party("Guest")
    shop.sale_price_list = everybody
    shop.save()
    return warehouse, everybody


def add_key() -> Any:
    application = Model.get("res.user.application")(application="rest", user=configuration.user)
    application.save()
    # Made by an administrator, it may be valid already.
    if application.state == "requested":
        application.click("validate_")
        application.reload()
    return application.key


currencies = add_currencies()
companies.create_company(currency=currencies["EUR"])
company = companies.get_company()
configuration._context = Model.get("res.user").get_preferences(True, {})
for code, name in COUNTRIES.items():
    Model.get("country.country")(code=code, name=name).save()
category = add_category(add_books(company))
unit, box = add_units()
attribute_set = add_attributes()
warehouse, everybody = add_shop(company, currencies["EUR"])
(lost,) = Model.get("stock.location").find([("type", "=", "lost_found")], limit=1)
print(
    json.dumps(
        {
            "key": add_key(),
            "company": company.id,
            "category": category.id,
            "unit": unit.id,
            "box": box.id,
            "attribute_set": attribute_set.id,
            "storage": warehouse.storage_location.id,
            "warehouse": warehouse.id,
            "lost": lost.id,
            "everybody": everybody.id,
            "currencies": {code: each.id for code, each in currencies.items()},
        }
    )
)
