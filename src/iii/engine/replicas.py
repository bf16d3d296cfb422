"""Several workers that serve one function together: what marks it, and which of them gets a call (P8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from itertools import cycle
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from iii.protocol.replicas import MARK, ReplicaPolicy

if TYPE_CHECKING:
    from iii.engine.functions import Deliver, Function
    from iii.engine.invocation import Invocation


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


def spread(policy: ReplicaPolicy, copies: Sequence[Function]) -> Deliver:
    """Runs each call on one of the copies; on one whose worker has left only if all have."""
    return _least_busy(copies) if policy == "least_busy" else _round_robin(copies)


def _round_robin(copies: Sequence[Function]) -> Deliver:
    following = cycle(copies).__next__

    def deliver(invocation: Invocation, _: Function) -> None:
        copy = following()
        if copy.owner.ended:
            copy = _living(copies, following, copy)
        run = copy.deliver
        run(invocation, copy)

    return deliver


def _living(copies: Sequence[Function], following: Callable[[], Function], ended: Function) -> Function:
    for _ in copies:
        copy = following()
        if not copy.owner.ended:
            return copy
    return ended


def _least_busy(copies: Sequence[Function]) -> Deliver:
    """Ties go in turn."""
    count = len(copies)
    places = [(at, copy.owner.handling) for at, copy in enumerate(copies)] * 2
    turn = 0

    def deliver(invocation: Invocation, _: Function) -> None:
        nonlocal turn
        at, running = places[turn]
        fewest = len(running)
        if fewest:
            for place, running in places[turn : turn + count]:  # not min(): three times as slow for a few
                load = len(running)
                if load < fewest:
                    at, fewest = place, load
        copy = copies[at]
        if copy.owner.ended:  # its calls are gone, so it looks idle
            at = min(
                (place for place, _ in places[turn : turn + count] if not copies[place].owner.ended),
                key=lambda place: len(copies[place].owner.handling),
                default=at,
            )
            copy = copies[at]
        turn = at + 1 if at + 1 < count else 0
        run = copy.deliver
        run(invocation, copy)

    return deliver
