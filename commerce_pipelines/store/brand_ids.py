"""Ids of new brands: made from the name, so that a store built anew has the same ones.

Belongs here: the one expression for it. Does not belong here: creating brands.
"""

from __future__ import annotations


def new_brand_id(name_key: str) -> str:
    """Returns the SQL of a new brand's id; the same throughout a transaction.

    A renamed brand keeps its id, so a later one of its old name needs another.

    Args:
        name_key: The SQL of its folded name.
    """
    return f"""CASE WHEN EXISTS (SELECT FROM brand WHERE id = 'brand_' || md5({name_key}))
        THEN 'brand_' || md5({name_key} || ' ' || now()) ELSE 'brand_' || md5({name_key}) END"""
