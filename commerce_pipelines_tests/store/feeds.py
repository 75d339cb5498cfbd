"""Small catalogues that Hypothesis makes: few names, so that they meet often."""

from __future__ import annotations

from hypothesis import strategies as st

from commerce_pipelines_tests.factories import Payload

TITLES = ("Mug", "Cup", "Große Kanne")
BRANDS = ("Acme", "ACMÉ", "Other")

prices = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.sampled_from(["0", "9.99", 12, "0.0001"]),
            "currency_code": st.sampled_from(["EUR", "JPY"]),
        },
        optional={"min_quantity": st.sampled_from([1, 10])},
    ),
    max_size=3,
    unique_by=lambda price: (price["currency_code"], price.get("min_quantity", 1)),
)


def variants(owner: str) -> st.SearchStrategy[list[Payload]]:
    """Returns lists of variants whose SKUs nobody but their owner has."""
    codes = st.sampled_from(["a", "b", "c"])
    one = st.builds(
        lambda code, changes: {"sku": f"{owner}-{code}", **changes},
        codes,
        st.fixed_dictionaries(
            {},
            optional={
                "prices": prices | st.none(),
                "title": st.sampled_from(TITLES),
                "manage_inventory": st.booleans(),
                "options": st.just({"Size": "S"}),
            },
        ),
    )
    with_ids = st.builds(
        lambda code, changes: {"external_id": f"{owner}-{code}", **changes},
        codes,
        st.fixed_dictionaries({}, optional={"prices": prices}),
    )
    return st.lists(
        one | with_ids,
        max_size=3,
        unique_by=lambda variant: variant.get("external_id") or variant["sku"],
    )


def products(number: int) -> st.SearchStrategy[Payload]:
    """Returns descriptions of one product, whole or in part."""
    return st.fixed_dictionaries(
        {"external_id": st.just(f"e{number}"), "title": st.sampled_from(TITLES)},
        optional={
            "handle": st.just(f"handle-{number}"),
            "description": st.sampled_from(["old", "new", None]),
            "status": st.sampled_from(["draft", "published", "archived"]),
            "brand": st.sampled_from([*BRANDS, None]),
            "images": st.lists(st.sampled_from(["https://a/1.jpg", "https://a/2.jpg"]), max_size=2)
            | st.none(),
            "metadata": st.dictionaries(st.sampled_from("xy"), st.integers(0, 3)) | st.none(),
            "options": st.just([{"title": "Size", "values": ["S", "M"]}]) | st.none(),
            "variants": variants(f"p{number}") | st.none(),
        },
    )


def pages(known: int = 4) -> st.SearchStrategy[list[Payload]]:
    """Returns pages in which the same few products come again and again."""
    return st.lists(st.integers(1, known).flatmap(products), max_size=6)


def contested_pages(known: int = 3) -> st.SearchStrategy[list[Payload]]:
    """Returns pages whose products take handles and SKUs from each other."""
    variants = st.lists(
        st.fixed_dictionaries(
            {"external_id": st.sampled_from("ab")},
            optional={"sku": st.sampled_from(["A", "B", "C", None])},
        ),
        max_size=2,
        unique_by=(
            lambda one: one["external_id"],
            lambda one: one.get("sku") or one["external_id"],
        ),
    )

    def contested(number: int) -> st.SearchStrategy[Payload]:
        own = variants.map(
            lambda each: [{**one, "external_id": f"{number}{one['external_id']}"} for one in each]
        )
        return st.fixed_dictionaries(
            {"external_id": st.just(f"e{number}"), "title": st.sampled_from(TITLES)},
            optional={"handle": st.sampled_from(["mug", "cup", "pot"]), "variants": own},
        )

    return st.lists(
        st.integers(1, known).flatmap(contested),
        max_size=known,
        unique_by=lambda payload: payload["external_id"],
    )
