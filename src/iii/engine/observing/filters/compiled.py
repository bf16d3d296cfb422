"""A filter, compiled once for all the calls that it is asked about (21 §7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from iii.engine.observing.filters.equality import is_scalar, scalar_key
from iii.engine.observing.filters.matching import always, matching, roots_of
from iii.engine.observing.filters.path import Path
from iii.engine.observing.filters.sweeps import FEW_LOOKS, compared_by, sweeps_of
from iii.engine.observing.filters.syntax import Conjunction, PathCondition, parse_filter


class CompiledFilter:
    """Attributes:
    text: the normal form as JSON.
    source: the filter as it was read.
    matches: says whether a document of decoded `roots` matches; None: every one does.
    roots: the parts of a document that it looks at.
    is_equality: whether the only one of its `equalities` says all.
    sweeps: how often `$any` has it look at each value there; nearly always 0.
    compared: values that it compares one by one besides.
    is_counted: whether that is so much that it counts; nearly never.
    """

    __slots__ = ("compared", "is_counted", "is_equality", "matches", "roots", "source", "sweeps", "text")

    def __init__(self, written: bytes) -> None:
        """Raises InvalidFilter."""
        source: Conjunction = parse_filter(written)
        match = matching(source)
        self.source = source
        self.text: bytes = msgspec.json.encode(source.normal())
        self.matches = None if match is always else match
        self.roots = frozenset(roots_of(source))
        clause = source.clauses[0] if len(source.clauses) == 1 else None
        self.is_equality = (
            isinstance(clause, PathCondition) and len(clause.operations) == 1 and any(True for _ in self.equalities())
        )
        self.sweeps = sweeps_of(source)
        self.compared = compared_by(source)
        self.is_counted = self.sweeps > 0 or self.compared > FEW_LOOKS

    def equalities(self) -> Iterator[tuple[Path, frozenset[Any]]]:
        """Paths that must have one of some scalars, as their keys, for the filter to match at all."""
        for clause in self.source.clauses:
            if not isinstance(clause, PathCondition):
                continue
            for operation in clause.operations:
                choices = [operation.operand] if operation.operator == "$eq" else operation.operand
                if operation.operator in ("$eq", "$in") and all(map(is_scalar, choices)):
                    yield clause.path, frozenset(map(scalar_key, choices))
