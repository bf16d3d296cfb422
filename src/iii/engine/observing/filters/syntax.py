"""Filters as they are written: what is one, and its normal form (21 §7)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from iii.engine.observing.filters.equality import is_number
from iii.engine.observing.filters.path import ELEMENT, ROOTS, InvalidFilterPath, Path
from iii.protocol.json_text import BAD_JSON, nests_deeper_than

FILTER_BYTES = 8192  # as compact JSON
DEPTH = 8  # `$or`, `$not` and `$any` within each other
NODES = 64  # operators, `$or` and `$not`
CHOICES = 256  # of `$in` and `$nin`
LARGEST_NUMBER = 2**53
LITERAL_DEPTH = 32
NESTING = 120  # lists and objects within each other, `$and` too
_WRITTEN_BYTES = 8 * FILTER_BYTES  # with blanks and escapes, which do not count

_COMPARISONS = frozenset({"$gt", "$gte", "$lt", "$lte"})
OPERATORS = _COMPARISONS | {"$eq", "$ne", "$in", "$nin", "$exists", "$prefix", "$any"}


class InvalidFilter(ValueError):
    """Not a filter; the text says why."""


class Operation(Struct, frozen=True):
    """An operator with its operand; that of `$any` is a tuple of operations, a Conjunction, or `()` for any element."""

    operator: str
    operand: Any


class PathCondition(Struct, frozen=True):
    """What a value at a path must be; all of it."""

    text: str
    path: Path
    operations: tuple[Operation, ...]
    written: dict[str, Any]


class Disjunction(Struct, frozen=True):
    options: tuple[Conjunction, ...]


class Negation(Struct, frozen=True):
    denied: Conjunction


Clause: TypeAlias = "PathCondition | Disjunction | Negation"


class Conjunction(Struct, frozen=True):
    """A filter: all clauses hold; without any it is always true."""

    clauses: tuple[Clause, ...]

    def normal(self) -> dict[str, Any]:
        """The normal form: one clause each, `$and`s spliced in place (21 §7.2)."""
        return {"$and": [_normal_clause(clause) for clause in self.clauses]} if self.clauses else {}


def parse_filter(text: bytes) -> Conjunction:
    """Raises InvalidFilter."""
    if len(text) > _WRITTEN_BYTES:
        raise InvalidFilter(f"filter of {len(text)} bytes exceeds the limit of {FILTER_BYTES}")
    if nests_deeper_than(text, NESTING):
        raise InvalidFilter(f"filter nests deeper than {NESTING} levels")
    try:
        source = msgspec.json.decode(text)
    except BAD_JSON as error:
        raise InvalidFilter(f"filter cannot be read: {error}") from None
    if source is None:
        return Conjunction(())
    size = len(msgspec.json.encode(source))
    if size > FILTER_BYTES:
        raise InvalidFilter(f"filter of {size} bytes exceeds the limit of {FILTER_BYTES}")
    return _Parser().filter(source, ROOTS, 0)


def _normal_clause(clause: Clause) -> dict[str, Any]:
    if isinstance(clause, Disjunction):
        return {"$or": [option.normal() for option in clause.options]}
    if isinstance(clause, Negation):
        return {"$not": clause.denied.normal()}
    written = dict(clause.written)
    for operation in clause.operations:
        if isinstance(operation.operand, Conjunction):
            written["$any"] = operation.operand.normal()
    return {clause.text: written}


class _Parser:
    """Of one filter; counts its nodes."""

    def __init__(self) -> None:
        self._nodes = 0

    def filter(self, source: Any, roots: tuple[str, ...], depth: int) -> Conjunction:
        if not isinstance(source, dict):
            raise InvalidFilter("a filter is an object")
        clauses: list[Clause] = []
        for key in sorted(source):
            value = source[key]
            if key == "$and":
                for member in _members(key, value):
                    clauses += self.filter(member, roots, depth).clauses
            elif key == "$or":
                self._count(depth + 1)
                clauses.append(Disjunction(tuple(self.filter(each, roots, depth + 1) for each in _members(key, value))))
            elif key == "$not":
                self._count(depth + 1)
                clauses.append(Negation(self.filter(value, roots, depth + 1)))
            else:
                clauses.append(self._condition(key, value, roots, depth))
        return Conjunction(tuple(clauses))

    def _condition(self, text: str, value: Any, roots: tuple[str, ...], depth: int) -> PathCondition:
        try:
            path = Path.parse(text, roots)
        except InvalidFilterPath as error:
            raise InvalidFilter(str(error)) from None
        if not isinstance(value, dict) or not value:
            raise InvalidFilter(
                f'`{text}`: expected an operator object such as {{"$eq": ...}}; literal values are not allowed'
            )
        return PathCondition(text, path, self._operations(text, value, depth), value)

    def _operations(self, text: str, written: dict[str, Any], depth: int) -> tuple[Operation, ...]:
        return tuple(self._operation(text, operator, operand, depth) for operator, operand in written.items())

    def _operation(self, text: str, operator: str, operand: Any, depth: int) -> Operation:
        if operator not in OPERATORS:
            raise InvalidFilter(
                f"`{text}`: unknown operator `{operator[:100]}` (expected {', '.join(sorted(OPERATORS))})"
            )
        self._count(depth + (operator == "$any"))
        if operator == "$any":
            return Operation(operator, self._any(text, operand, depth + 1))
        if operator in ("$in", "$nin"):
            if not isinstance(operand, list) or len(operand) > CHOICES:
                raise InvalidFilter(f"`{text}`: `{operator}` takes a list of at most {CHOICES} values")
        elif operator == "$exists":
            if not isinstance(operand, bool):
                raise InvalidFilter(f"`{text}`: `$exists` takes true or false")
        elif operator == "$prefix":
            if not isinstance(operand, str):
                raise InvalidFilter(f"`{text}`: `$prefix` takes a string")
        elif operator in _COMPARISONS and not (isinstance(operand, str) or is_number(operand)):
            raise InvalidFilter(f"`{text}`: `{operator}` takes a number or a string")
        _check_literal(text, operand, LITERAL_DEPTH)
        return Operation(operator, operand)

    def _any(self, text: str, operand: Any, depth: int) -> Conjunction | tuple[Operation, ...]:
        if not isinstance(operand, dict):
            raise InvalidFilter(f"`{text}`: `$any` takes operators, or a filter over `@`")
        if all(key in OPERATORS for key in operand):
            return self._operations(text, operand, depth)
        return self.filter(operand, (ELEMENT,), depth)

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES:
            raise InvalidFilter(f"filter has more than {NODES} operators")
        if depth > DEPTH:
            raise InvalidFilter(f"filter nests deeper than {DEPTH} levels of `$or`, `$not` and `$any`")


def _members(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InvalidFilter(f"`{key}` takes a list of at least one filter")
    return value


def _check_literal(text: str, value: Any, levels: int) -> None:
    if levels == 0:
        raise InvalidFilter(f"`{text}`: a value nests deeper than {LITERAL_DEPTH} levels")
    if is_number(value):
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            raise InvalidFilter(f"`{text}`: {str(value)[:40]} is beyond 2^53, where numbers are not exact")
    elif isinstance(value, list):
        for each in value:
            _check_literal(text, each, levels - 1)
    elif isinstance(value, dict):
        for each in value.values():
            _check_literal(text, each, levels - 1)
