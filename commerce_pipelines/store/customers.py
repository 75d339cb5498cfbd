"""Customers: who buys, and for which company."""

from __future__ import annotations

from secrets import token_hex
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.cart import Customer, NewCustomer
from commerce_pipelines.domain.catalog import fold_name
from commerce_pipelines.domain.pricing import Buyer


def create_customer(connection: Connection, wanted: NewCustomer) -> Customer:
    """Creates a customer under an id that nobody can guess."""
    company = wanted.company_name
    names = {
        "id": f"cus_{token_hex(16)}",
        "email": wanted.email,
        "company": company,
        "key": None if company is None else fold_name(company),
    }
    return Customer(**connection.execute(_CREATE, names).mappings().one())


def load_customer(connection: Connection, customer_id: str) -> Customer | None:
    """Returns a customer; None if there is none."""
    row = connection.execute(_LOAD, {"id": customer_id}).mappings().one_or_none()
    return None if row is None else Customer(**row)


def load_buyer(connection: Connection, customer_id: str, currency_code: str) -> Buyer | None:
    """Returns what prices and rules depend on of a customer; None if there is none."""
    row = connection.execute(_BUYER, {"id": customer_id}).one_or_none()
    return None if row is None else Buyer(currency_code, row.company_name, row.company_key)


_CREATE: Final = text("""
    INSERT INTO customer (id, email, company_name, company_key)
    VALUES (:id, :email, :company, :key)
    RETURNING id, email, company_name, created_at, updated_at""")

_LOAD: Final = text("""
    SELECT id, email, company_name, created_at, updated_at FROM customer WHERE id = :id""")

_BUYER: Final = text("SELECT company_name, company_key FROM customer WHERE id = :id")
