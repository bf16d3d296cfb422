"""Several workers that serve one function together: what marks it, and which of them gets a call (P8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from itertools import cycle
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from iii.protocol.replicas import MARK, ReplicaPolicy

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.engine.owner import Owner

_COMPARED = 16  # of more copies, so many in turn: to look at all of hundreds would cost more than the call


class ReplicaRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A mark for functions whose clients cannot say it."""

    match: Annotated[str, Meta(min_length=1, description="Function ids; `*` stands for any characters.")]
    policy: Annotated[
        ReplicaPolicy, Meta(description="`round_robin`: in turn; `least_busy`: the worker that runs the fewest calls.")
    ]


class _Marked(Struct):
    replicas: ReplicaPolicy | UnsetType | None = msgspec.field(name=MARK, default=UNSET)


_marked = msgspec.json.Decoder(_Marked)


class UnknownPolicy(Exception):
    """The mark is not one of the policies; the registration counts as unmarked."""


def policy_of(function_id: str, metadata: bytes, rules: Sequence[ReplicaRule]) -> ReplicaPolicy | None:
    """How calls are spread over the copies of a function; None: it is not marked. Its own mark wins over rules.

    Raises:
        UnknownPolicy: its own mark is wrong.
    """
    if MARK.encode() in metadata and metadata[:1] == b"{":
        try:
            own = _marked.decode(metadata).replicas
        except msgspec.ValidationError:
            raise UnknownPolicy from None
        if own is not UNSET:
            return own
    return next((rule.policy for rule in rules if fnmatchcase(function_id, rule.match)), None)


class Replica(Protocol):
    """A registration of the function by one of the workers."""

    @property
    def owner(self) -> Owner: ...

    @property
    def deliver(self) -> Spread: ...


Spread: TypeAlias = "Callable[[Invocation, Any], None]"


def spread(policy: ReplicaPolicy, copies: Sequence[Replica]) -> Spread:
    """Runs each call on one of the copies.

    A copy that is passed over gets a call only if all are, and one whose worker has left only if all have.
    """
    return _least_busy(copies) if policy == "least_busy" else _round_robin(copies)


def _round_robin(copies: Sequence[Replica]) -> Spread:
    others = len(copies) - 1
    following = cycle(copies).__next__

    def deliver(invocation: Invocation, _: Replica) -> None:
        copy = following()
        if copy.owner.passed_over:
            turn = [copy, *(following() for _ in range(others))]
            at = _first_to_take(turn)
            copy = turn[at]
            for _ in turn[: at + 1]:
                following()
        run = copy.deliver
        run(invocation, copy)

    return deliver


def _least_busy(copies: Sequence[Replica]) -> Spread:
    """Ties go in turn."""
    count = len(copies)
    calls = [(seat, copy.owner.handling) for seat, copy in enumerate(copies)] * 2
    turns = [(*calls[seat], tuple(calls[seat + 1 : seat + min(count, _COMPARED)])) for seat in range(count)]
    seats = [(copy, turns[seat + 1 - count]) for seat, copy in enumerate(copies)]
    turn = turns[0]

    def deliver(invocation: Invocation, _: Replica) -> None:
        nonlocal turn
        first, running, others = turn
        seat, fewest = first, len(running)
        if fewest:
            for other, running in others:  # not min(): three times as slow for a few
                load = len(running)
                if load < fewest:
                    seat, fewest = other, load
        copy, turn = seats[seat]
        if copy.owner.passed_over:
            order = sorted(seats[first:] + seats[:first], key=lambda each: len(each[0].owner.handling))
            copy, turn = order[_first_to_take([each for each, _ in order])]
        run = copy.deliver
        run(invocation, copy)

    return deliver


def _first_to_take(copies: Sequence[Replica]) -> int:
    """Which of them gets a call: the first that takes calls, else the first that lives, else the first."""
    for at, copy in enumerate(copies):
        if copy.owner.takes_calls():
            return at
    return next((at for at, copy in enumerate(copies) if not copy.owner.ended), 0)
