"""How much a filter has to do: for each value of a document by `$any`, and for lists and objects that it names (21 §7)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.engine.observing.filters.equality import is_scalar, nodes_of
from iii.engine.observing.filters.syntax import Conjunction, Disjunction, Negation, Operation

FEW_LOOKS = 100  # do not count: a filter takes no longer for them than for anything else


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
    return int(within)


def compared_by(source: Conjunction) -> int:
    """How many values a filter may compare one by one, outside of `$any`: those of the lists and objects that it names."""
    found = 0
    for clause in source.clauses:
        if isinstance(clause, Disjunction):
            found += sum(map(compared_by, clause.options))
        elif isinstance(clause, Negation):
            found += compared_by(clause.denied)
        else:
            found += sum(map(_compared, clause.operations))
    return found


def _compared(operation: Operation) -> int:
    if operation.operator in ("$in", "$nin"):  # looked up among all of them at once
        return max((nodes_of(choice) for choice in operation.operand if not is_scalar(choice)), default=0)
    if operation.operator == "$any" or is_scalar(operation.operand):
        return 0
    return nodes_of(operation.operand)
