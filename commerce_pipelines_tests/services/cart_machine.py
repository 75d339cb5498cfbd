"""A cart beside a plain model of it, driven at random.

Belongs here: what a buyer and an ERP can do, and what must be true after each of it. The
model is a dictionary of quantities; prices are those of the fake ERP. No HTTP: the same
attempts that the endpoint makes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection, Engine, text

from commerce_pipelines.domain.cart import Cart, CartChanges, LineChange, NewCart, NewLine
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.money import line_total_minor
from commerce_pipelines.domain.price_book import PriceTier, StockLevel
from commerce_pipelines.domain.pricing import tier_for
from commerce_pipelines.errors import Declined, Unavailable
from commerce_pipelines.services import cart as service
from commerce_pipelines.services.checkout import Completed, PricesChanged, complete
from commerce_pipelines.services.enquiries import Enquiries, Inquired
from commerce_pipelines_tests.endpoint.buying import ADDRESSES
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import PricedErp, sold

CODES = ("a", "b", "c")
MOST = 12
amounts = st.integers(0, 9999).map(lambda cents: Decimal(cents).scaleb(-2))
codes = st.sampled_from(CODES)
pieces = st.integers(1, 6)


class CartMachine(RuleBasedStateMachine):
    """A buyer with one cart at a time, an ERP whose people change prices and stock.

    Attributes:
        engine: The store; set by the test.
    """

    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        self.erp = PricedErp()
        # Nothing is fresh, so the model need not know what was asked before.
        self.enquiries = Enquiries(self.engine, self.erp, budget_seconds=60.0, fresh_seconds=0.0)
        self.quantities: dict[str, int] = {}
        self.seen: dict[str, Decimal] = {}
        self.sold_pieces = dict.fromkeys(CODES, 0)
        self.orders = 0

    @initialize()
    def open_shop(self) -> None:
        """Starts with an empty store that sells three variants."""
        with self.engine.begin() as connection:
            connection.execute(
                text("""
                TRUNCATE cart, product, customer, store_order, price_book, stock_level, message,
                         external_id CASCADE""")
            )
        sold(self.engine, *CODES)
        for code in CODES:
            self.reprice(code, Decimal("9.99"), Decimal("8.50"))
            self.erp.levels[f"E{code}"] = StockLevel(MOST, False)
        self.new_cart()

    def new_cart(self) -> None:
        """Takes another cart."""
        wanted = NewCart.model_validate(
            {"currency_code": "EUR", "email": "anna@example.com", **ADDRESSES}
        )
        with self.engine.begin() as connection:
            self.cart = service.create_cart(connection, wanted)
        self.quantities, self.seen = {}, {}

    @rule(code=codes, one=amounts, many=amounts)
    def reprice(self, code: str, one: Decimal, many: Decimal) -> None:
        """The ERP's people change a price."""
        self.erp.prices[f"E{code}", "EUR", ""] = (PriceTier(1, one), PriceTier(5, many))

    @rule(code=codes, available=st.integers(2, MOST), beyond=st.booleans())
    def restock(self, code: str, available: int, *, beyond: bool) -> None:
        """The ERP's people count their shelves; what we sold is not out of them yet."""
        pieces = self.sold_pieces[code] + available
        self.erp.levels[f"E{code}"] = StockLevel(pieces, beyond)

    @rule(code=codes, quantity=pieces)
    def add(self, code: str, quantity: int) -> None:
        """The buyer adds pieces."""
        self._add(code, quantity)

    @rule(code=codes)
    def add_one(self, code: str) -> None:
        """The buyer adds a piece; done often, for it seldom fails."""
        self._add(code, 1)

    def _add(self, code: str, quantity: int) -> None:
        wanted = NewLine(variant_id=f"v-{code}", quantity=quantity)
        total = self.quantities.get(code, 0) + quantity
        self._expect(code, total, lambda c, i, cart: service.add_line(c, i, cart, wanted))

    @precondition(lambda self: self.quantities)
    @rule(data=st.data(), quantity=pieces)
    def set_quantity(self, data: Any, quantity: int) -> None:
        """The buyer changes a line."""
        code = data.draw(st.sampled_from(sorted(self.quantities)))
        line_id, wanted = self._line_id(code), LineChange(quantity=quantity)
        self._expect(
            code, quantity, lambda c, i, cart: service.change_line(c, i, cart, line_id, wanted)
        )

    @precondition(lambda self: self.quantities)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        """The buyer takes a line out."""
        code = data.draw(st.sampled_from(sorted(self.quantities)))
        line_id = self._line_id(code)
        self.cart = self._do(lambda c, i, cart: service.remove_line(c, cart, line_id))
        del self.quantities[code], self.seen[code]

    @precondition(lambda self: self.quantities)
    @rule(email=st.sampled_from(["a@example.com", "b@example.com"]))
    def change(self, email: str) -> None:
        """The buyer changes the address to write to."""
        wanted = CartChanges(email=email)
        self.cart = self._do(lambda c, i, cart: service.change_cart(c, i, cart, wanted))

    @precondition(lambda self: self.quantities)
    @rule()
    def check_out(self) -> None:
        """The buyer completes the cart, and starts another one if that went well."""
        refused = self._refused(self.quantities)
        try:
            done = self._do(lambda c, i, cart: complete(c, i, cart, 60))
        except Declined as declined:
            assert declined.code == refused
            return
        assert refused is None
        now = {code: self._price(code, each) for code, each in self.quantities.items()}
        if now != self.seen:
            assert isinstance(done, PricesChanged)
            changed = {f"v-{code}" for code in now if now[code] != self.seen[code]}
            assert {change.variant_id for change in done.changes} == changed
            self.cart, self.seen = done.cart, now
            return
        assert isinstance(done, Completed)
        assert done.is_new
        assert done.order.total_minor == self._total()
        self.orders += 1
        for code, quantity in self.quantities.items():
            self.sold_pieces[code] += quantity
        self.new_cart()

    @precondition(lambda self: self.quantities)
    @rule(verb=st.sampled_from(["fetch_prices", "fetch_stock"]))
    def check_out_without_the_erp(self, verb: str) -> None:
        """The ERP goes away in the middle of it."""
        self.erp.script(verb, failing(Unavailable("away")))
        try:
            self._do(lambda c, i, cart: complete(c, i, cart, 60))
        except Unavailable:
            return
        raise AssertionError("completed without the ERP")

    @invariant()
    def the_cart_is_the_model(self) -> None:
        """The cart holds what the model holds, and adds up; nothing was sold twice."""
        if not hasattr(self, "cart"):
            return
        with self.engine.begin() as connection:
            cart = service.held(connection, self.cart.id)[0].shown()
            orders = connection.execute(text("SELECT count(*) FROM store_order")).scalar_one()
            held: dict[str, int] = dict(
                connection.execute(text("SELECT variant_id, reserved FROM stock_level")).all()
            )
        assert cart == self.cart
        lines = {line.variant_id[2:]: line for line in cart.lines}
        assert {code: line.quantity for code, line in lines.items()} == self.quantities
        assert {code: Decimal(line.unit_price) for code, line in lines.items()} == self.seen
        assert cart.total_minor == self._total()
        assert orders == self.orders
        assert {code: held.get(f"v-{code}", 0) for code in CODES} == self.sold_pieces

    def teardown(self) -> None:
        """Ends the questions."""
        self.enquiries.close()

    def _do(self, work: Callable[[Connection, Inquired, Any], Any]) -> Any:
        def attempt(connection: Connection, inquired: Inquired) -> Any:
            cart, _ = service.held(connection, self.cart.id)
            return work(connection, inquired, cart)

        return self.enquiries.settle(attempt)

    def _expect(
        self, code: str, quantity: int, work: Callable[[Connection, Inquired, Any], Any]
    ) -> None:
        refused = self._refused({code: quantity})
        try:
            changed = self._do(work)
        except Declined as declined:
            assert declined.code == refused
            return
        assert isinstance(changed, Cart)
        assert refused is None
        self.cart = changed
        self.quantities[code] = quantity
        self.seen[code] = self._price(code, quantity)

    def _refused(self, quantities: dict[str, int]) -> str | None:
        for code, quantity in quantities.items():
            level = self.erp.levels[f"E{code}"]
            free = level.available - self.sold_pieces[code]
            if free < quantity and not level.allows_out_of_stock:
                return Code.OUT_OF_STOCK
        return None

    def _price(self, code: str, quantity: int) -> Decimal:
        tier = tier_for(self.erp.prices[f"E{code}", "EUR", ""], quantity)
        assert tier is not None
        return tier.amount

    def _total(self) -> int:
        return sum(
            line_total_minor(self.seen[code], quantity, "EUR")
            for code, quantity in self.quantities.items()
        )

    def _line_id(self, code: str) -> str:
        (line,) = (line for line in self.cart.lines if line.variant_id == f"v-{code}")
        return line.id
