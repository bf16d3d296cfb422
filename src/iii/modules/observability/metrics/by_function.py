"""Calls of each function with their durations, for those who look at them twice and take the difference (16 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from iii.engine.tally import BOUNDS_S

if TYPE_CHECKING:
    from iii.engine.tally import Tallies, Tally
    from iii.modules.observability.steps import Steps

_MOST = 1_000  # functions of one answer
_AT_ONCE = 50


class FunctionFigures(Struct):
    """Calls of one function since the engine's start."""

    function_id: str
    calls: Annotated[int, Meta(description="Those that began.")]
    error: Annotated[int, Meta(description="Those that failed.")]
    not_found: Annotated[int, Meta(description="Those that did not begin, as no worker served the function.")]
    withdrawn: Annotated[int, Meta(description="Those whose caller left.")]
    running: Annotated[int, Meta(description="Those that run now.")]
    sum_s: Annotated[float, Meta(description="Seconds that all took together that have ended.")]
    bounds_s: Annotated[
        list[float], Meta(description="Upper bounds of the buckets, in seconds; the last bucket has none.")
    ]
    bucket_counts: Annotated[
        list[int], Meta(description="How many calls ended within the bound, and above the one before.")
    ]


def figures_of(tallies: Tallies) -> Steps[list[FunctionFigures]]:
    """The most called first, 1,000 at most."""
    missed = dict(tallies.missed)
    by_id: dict[str, list[Tally]] = {name: [] for name in missed}
    for tally in tallies:
        by_id.setdefault(tally.function_id, []).append(tally)
    yield
    ordered = sorted(
        by_id.items(), key=lambda row: (-sum(each.begun for each in row[1]) - missed.get(row[0], 0), row[0])
    )
    found = list[FunctionFigures]()
    for at, (function_id, several) in enumerate(ordered[:_MOST]):
        durations = [each.durations for each in several]
        found.append(
            FunctionFigures(
                function_id,
                calls=sum(each.begun for each in several),
                error=sum(each.error for each in several),
                not_found=missed.get(function_id, 0),
                withdrawn=sum(each.withdrawn for each in several),
                running=max(sum(each.running for each in several), 0),
                sum_s=sum(each.sum_s for each in durations),
                bounds_s=list(BOUNDS_S),
                bucket_counts=[sum(each.buckets[bound] for each in durations) for bound in range(len(BOUNDS_S) + 1)],
            )
        )
        if at % _AT_ONCE == 0:
            yield
    return found
