"""Filters that were read become functions of a document, once (21 §7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from iii.engine.observing.filters.equality import Keys, as_double, equal, is_number, is_scalar, scalar_key
from iii.engine.observing.filters.path import ELEMENT, MISSING, Path
from iii.engine.observing.filters.syntax import (
    Conjunction,
    Disjunction,
    Negation,
    Operation,
    PathCondition,
)

Match: TypeAlias = Callable[[dict[str, Any]], bool]
Test: TypeAlias = Callable[[Any], bool]


def always(_: object) -> bool:
    """What a filter without conditions says."""
    return True


def matching(source: Conjunction) -> Match:
    """What says whether a document matches. It never raises, and copies nothing."""
    return _both([_clause(clause) for clause in source.clauses])


def roots_of(source: Conjunction) -> Iterator[str]:
    """The parts of a document that it looks at; some of them more than once."""
    return (path.root for path in paths_of(source) if path.root != ELEMENT)


def paths_of(source: Conjunction) -> Iterator[Path]:
    """Whatever it looks at; some of them more than once, and in elements from these on."""
    for clause in source.clauses:
        if isinstance(clause, Disjunction):
            for option in clause.options:
                yield from paths_of(option)
        elif isinstance(clause, Negation):
            yield from paths_of(clause.denied)
        else:
            yield clause.path
            for operation in clause.operations:
                if isinstance(operation.operand, Conjunction):
                    yield from paths_of(operation.operand)


def _both(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    if len(tests) == 1:
        return tests[0]
    if not tests:
        return always
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    return lambda value: all(test(value) for test in tests)


def _clause(clause: PathCondition | Disjunction | Negation) -> Match:
    if isinstance(clause, Disjunction):
        options = [matching(option) for option in clause.options]
        return lambda document: any(option(document) for option in options)
    if isinstance(clause, Negation):
        denied = matching(clause.denied)
        return lambda document: not denied(document)
    if len(clause.operations) == 1 and len(clause.path.segments) == 1:
        (operation,) = clause.operations
        if operation.operator == "$eq" and type(operation.operand) is str and clause.path.indexes == (None,):
            return _member_is(clause.path.root, clause.path.segments[0], operation.operand)
    test = _both([_test(operation) for operation in clause.operations])
    return _at(clause.path, test)


def _member_is(root: str, name: str, text: str) -> Match:
    """As the general form says it, in one call: most filters are this."""

    def match(document: dict[str, Any]) -> bool:
        value = document.get(root)
        return type(value) is dict and bool(value.get(name) == text)

    return match


def _at(path: Path, test: Test) -> Match:
    if len(path.segments) == 1:  # nearly always
        root, (segment,), (index,) = path.root, path.segments, path.indexes

        def look(document: dict[str, Any]) -> bool:
            value = document.get(root, MISSING)
            if type(value) is dict:
                return test(value.get(segment, MISSING))
            if type(value) is list and index is not None and index < len(value):
                return test(value[index])
            return test(MISSING)

        return look
    find = path.find
    return lambda document: test(find(document))


def _test(operation: Operation) -> Test:
    operator, operand = operation.operator, operation.operand
    match operator:
        case "$eq":
            return _equals(operand)
        case "$ne":
            equals = _equals(operand)
            return lambda value: not equals(value)
        case "$in":
            return _among(operand)
        case "$nin":
            among = _among(operand)
            return lambda value: not among(value)
        case "$exists":
            return (lambda value: value is not MISSING) if operand else (lambda value: value is MISSING)
        case "$prefix":
            return lambda value: type(value) is str and value.startswith(operand)
        case "$any":
            return _any(operand)
        case _:
            return _compares(operator, operand)


def _equals(literal: Any) -> Test:
    if type(literal) is str:
        return lambda value: bool(value == literal)  # only a string equals one
    if is_number(literal):
        number = as_double(literal)
        return lambda value: is_number(value) and as_double(value) == number
    if is_scalar(literal):
        return lambda value: value is literal
    return lambda value: equal(value, literal)


def _among(choices: list[Any]) -> Test:
    keys = frozenset(scalar_key(choice) for choice in choices if is_scalar(choice))
    others = Keys([choice for choice in choices if not is_scalar(choice)])

    def among(value: Any) -> bool:
        if value is MISSING:
            return False
        return scalar_key(value) in keys if is_scalar(value) else value in others

    return among


def _any(operand: Conjunction | tuple[Operation, ...]) -> Test:
    if isinstance(operand, Conjunction):
        match = matching(operand)
        return lambda value: type(value) is list and any(match({ELEMENT: each}) for each in value)
    test = _both([_test(operation) for operation in operand])
    return lambda value: type(value) is list and any(test(each) for each in value)


def _compares(operator: str, bound: Any) -> Test:
    if type(bound) is str:
        ordered = _ORDERS[operator]
        return lambda value: type(value) is str and ordered(value, bound)
    number, ordered = as_double(bound), _ORDERS[operator]
    return lambda value: is_number(value) and ordered(as_double(value), number)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
}
