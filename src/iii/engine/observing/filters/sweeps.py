"""How much a filter has to do for each value of a document: of what it looks at once nothing, of `$any` all (21 §7)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.engine.observing.filters.equality import is_scalar
from iii.engine.observing.filters.syntax import Conjunction, Disjunction, Negation, Operation


def sweeps_of(source: Conjunction, within: bool = False) -> int:
    """How often it may look at each value. Elements of elements are values too, so that levels do not multiply.

    Args:
        within: whether it is asked about elements.
    """
    found = 0
    for clause in source.clauses:
        if isinstance(clause, Disjunction):
            found += sum(within + sweeps_of(option, within) for option in clause.options)
        elif isinstance(clause, Negation):
            found += within + sweeps_of(clause.denied, within)
        else:
            found += _of_operations(clause.operations, within)
    return found


def _of_operations(operations: Sequence[Operation], within: bool) -> int:
    return sum(_of_operation(operation, within) for operation in operations)


def _of_operation(operation: Operation, within: bool) -> int:
    if operation.operator == "$any":
        inside = operation.operand
        return 1 + (sweeps_of(inside, True) if isinstance(inside, Conjunction) else _of_operations(inside, True))
    if not within:
        return 0
    if operation.operator in ("$in", "$nin"):  # lists and objects among them are compared one by one
        return 1 + sum(not is_scalar(choice) for choice in operation.operand)
    return 1
