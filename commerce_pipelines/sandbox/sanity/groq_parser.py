"""From a GROQ query to something that can be evaluated.

Belongs here: the grammar of the subset. Does not belong here: what each form
evaluates to (`groq_expressions.py`), perspectives (`groq.py`).

The subset: `*`, filters, `[0]`, `[-1]`, `[0..9]`, `[0...10]`, `[]`, projections
with `...`, `"name": expr`, `attribute` and nested ones, `.attribute`, `->`,
`| order(expr asc|desc, ...)`, `== != < <= > >= in match && || !`, literals,
arrays, objects, parentheses, `$params`, `@`, `^`, and the functions count,
defined, references, coalesce, length, lower, upper, path, string::startsWith.
Everything else is refused with `queryParseError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from commerce_pipelines.sandbox.sanity import groq_values as values
from commerce_pipelines.sandbox.sanity.groq_expressions import (
    COMPARISONS,
    MISSING,
    Evaluate,
    Expression,
    Scope,
    attribute,
    combined,
    constant,
    filtered,
    followed,
    for_each,
    in_order,
    indexed,
    negated,
    refers,
)
from commerce_pipelines.sandbox.sanity.groq_text import Tokens, number_value, string_value


def parse(query: str, params: Mapping[str, Any]) -> Expression:
    """Returns what the query stands for.

    Raises:
        SanityError: It is not within the subset, or a parameter is missing.
    """
    tokens = Tokens(query)
    try:
        expression = _Parser(tokens, params).pipeline()
    except RecursionError:
        raise tokens.refusal("the query is nested too deeply") from None
    if tokens.peek().kind != "end":
        raise tokens.refusal("unexpected token")
    return expression


class _Parser:
    """Recursive descent, loosest binding first."""

    def __init__(self, tokens: Tokens, params: Mapping[str, Any]) -> None:
        self._tokens = tokens
        self._params = params

    def pipeline(self) -> Expression:
        expression = self._binary(0)
        while self._tokens.skip("|"):
            if self._tokens.next_is("{"):
                expression = self._postfix(expression)
            elif self._tokens.skip("order"):
                expression = self._postfix(self._order(expression))
            else:
                raise self._tokens.refusal("unknown pipe function")
        return expression

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._tokens.next_is(*_LEVELS[level]):
            operate = _OPERATORS[self._tokens.take().text]
            left = combined(operate, left, self._binary(level + 1))
        return left

    def _unary(self) -> Expression:
        if self._tokens.skip("!"):
            inner = self._unary()
            return Expression(lambda scope: negated(inner.evaluate(scope)))
        if self._tokens.next_is("-") and self._tokens.peek(1).kind == "number":
            self._tokens.take()
            return constant(-number_value(self._tokens.take()))
        return self._postfix(self._primary())

    def _primary(self) -> Expression:
        token = self._tokens.take()
        if token.kind == "string":
            return constant(string_value(token))
        if token.kind == "number":
            return constant(number_value(token))
        if token.kind == "param":
            return self._param(token.text[1:])
        if token.kind == "name":
            return self._named(token.text)
        if token.kind == "sign" and token.text in _PRIMARY:
            return _PRIMARY[token.text](self)
        raise self._tokens.refusal("unexpected token", token)

    def _param(self, name: str) -> Expression:
        if name not in self._params:
            raise self._tokens.refusal(f"param ${name} referenced, but not provided")
        return constant(self._params[name])

    def _named(self, name: str) -> Expression:
        if name in ("true", "false", "null"):
            return constant({"true": True, "false": False, "null": None}[name])
        if self._tokens.next_is("("):
            return self._call(name)
        if "::" in name:
            raise self._tokens.refusal(f"unknown name {name}")
        return Expression(lambda scope: attribute(scope.this, name), name=name)

    def _call(self, name: str) -> Expression:
        start = self._tokens.take()
        arguments = self._listed(")")
        if name == "references":
            return Expression(lambda scope: refers(scope, arguments))
        arity, function = values.FUNCTIONS.get(name, (-1, None))
        if function is None:
            raise self._tokens.refusal(f"unknown function {name}()", start)
        if arity is not None and arity != len(arguments):
            raise self._tokens.refusal(f"{name}() takes {arity} argument(s)", start)
        called = function
        return Expression(lambda scope: called(*(each.evaluate(scope) for each in arguments)))

    def _listed(self, closing: str) -> list[Expression]:
        found: list[Expression] = []
        while not self._tokens.skip(closing):
            found.append(self.pipeline())
            if not self._tokens.next_is(closing):
                self._tokens.expect(",")
        return found

    def _everything(self) -> Expression:
        return Expression(lambda scope: list(scope.documents.values()), many=True)

    def _grouped(self) -> Expression:
        inner = self.pipeline()
        self._tokens.expect(")")
        return inner

    def _array(self) -> Expression:
        items = self._listed("]")
        return Expression(lambda scope: [item.evaluate(scope) for item in items])

    def _object(self) -> Expression:
        build = self._entries()
        return Expression(build)

    def _this(self) -> Expression:
        return Expression(lambda scope: scope.this)

    def _parent(self) -> Expression:
        return Expression(lambda scope: scope.parent.this if scope.parent else None)

    def _postfix(self, base: Expression) -> Expression:
        while self._tokens.next_is(*_POSTFIX):
            base = _POSTFIX[self._tokens.take().text](self, base)
        return base

    def _dot(self, base: Expression) -> Expression:
        token = self._tokens.take()
        if token.kind != "name":
            raise self._tokens.refusal("expected an attribute", token)
        read = for_each(base, lambda scope, value: attribute(value, token.text))
        return Expression(read, base.many)

    def _arrow(self, base: Expression) -> Expression:
        target = Expression(for_each(base, followed), base.many, base.name)
        if self._tokens.peek().kind != "name":
            return target
        return self._dot(target)

    def _projection(self, base: Expression) -> Expression:
        build = self._entries()

        def project(scope: Scope, value: Any) -> Any:
            return build(scope.inner(value)) if isinstance(value, dict) else None

        return Expression(for_each(base, project), base.many, base.name)

    def _entries(self) -> Evaluate:
        """Reads an object's entries up to its closing brace."""
        parts: list[tuple[str | None, Evaluate]] = []
        while not self._tokens.skip("}"):
            parts.append(self._entry())
            if not self._tokens.next_is("}"):
                self._tokens.expect(",")

        def build(scope: Scope) -> dict[str, Any]:
            built: dict[str, Any] = {}
            for name, evaluate in parts:
                built.update(evaluate(scope) if name is None else {name: evaluate(scope)})
            return built

        return build

    def _entry(self) -> tuple[str | None, Evaluate]:
        if self._tokens.skip("..."):
            return None, lambda scope: scope.this if isinstance(scope.this, dict) else {}
        start = self._tokens.peek()
        if start.kind == "string" and self._tokens.peek(1).text == ":":
            self._tokens.take()
            self._tokens.take()
            return string_value(start), self.pipeline().evaluate
        expression = self.pipeline()
        if expression.name is None:
            raise self._tokens.refusal("an entry needs a name", start)
        return expression.name, expression.evaluate

    def _bracket(self, base: Expression) -> Expression:
        if self._tokens.skip("]"):
            return Expression(base.evaluate, True, base.name)
        start = self._tokens.peek()
        inner = self.pipeline()
        for sign, extra in (("..", 1), ("...", 0)):
            if self._tokens.skip(sign):
                return self._slice(base, inner, extra)
        self._tokens.expect("]")
        if inner.constant is MISSING:
            return filtered(base, inner)
        if isinstance(inner.constant, str):
            name = inner.constant
            return Expression(
                for_each(base, lambda scope, value: attribute(value, name)), base.many
            )
        if isinstance(inner.constant, bool):
            return filtered(base, inner)
        if not isinstance(inner.constant, int):
            raise self._tokens.refusal("an index must be a whole number", start)
        return indexed(base, inner.constant)

    def _slice(self, base: Expression, first: Expression, extra: int) -> Expression:
        start = self._tokens.peek()
        last = self.pipeline()
        self._tokens.expect("]")
        bounds = first.constant, last.constant
        if not all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds):
            raise self._tokens.refusal("a slice needs two constant whole numbers", start)

        def cut(scope: Scope) -> Any:
            items = base.evaluate(scope)
            if not isinstance(items, list):
                return None
            low, high = (bound + len(items) if bound < 0 else bound for bound in bounds)
            return items[max(low, 0) : max(high + extra, 0)]

        return Expression(cut, True, base.name)

    def _order(self, base: Expression) -> Expression:
        self._tokens.expect("(")
        keys: list[tuple[Evaluate, int]] = []
        while not keys or self._tokens.skip(","):
            key = self._binary(0).evaluate
            descending = self._tokens.skip("desc")
            if not descending:
                self._tokens.skip("asc")
            keys.append((key, -1 if descending else 1))
        self._tokens.expect(")")

        def ordered(scope: Scope) -> Any:
            items = base.evaluate(scope)
            return in_order(scope, items, keys) if isinstance(items, list) else None

        return Expression(ordered, True)


_LEVELS = (("||",), ("&&",), tuple(COMPARISONS))
_OPERATORS = COMPARISONS | {"||": values.either, "&&": values.both}
_PRIMARY: dict[str, Callable[[_Parser], Expression]] = {
    "*": _Parser._everything,
    "(": _Parser._grouped,
    "[": _Parser._array,
    "{": _Parser._object,
    "@": _Parser._this,
    "^": _Parser._parent,
}
_POSTFIX: dict[str, Callable[[_Parser, Expression], Expression]] = {
    ".": _Parser._dot,
    "->": _Parser._arrow,
    "[": _Parser._bracket,
    "{": _Parser._projection,
}
