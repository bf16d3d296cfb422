"""Members of a trigger's config that its type does not have."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec
from msgspec import Raw

from iii.engine.bindings import Binding, config_for_builtin
from iii.protocol.log_event import LogEvent
from iii.protocol.suggestion import did_you_mean

MEMBER_IGNORED = LogEvent(
    __name__, "trigger.member_ignored", logging.WARNING, "Member of a trigger's config ignored: its type has none of that name",
    means="The member does nothing.",
    do="Correct its name as `hint` says, or leave it out.",
)  # fmt: skip

_WARNED_OF = 10  # members of one trigger


def warn_of_unknown_members(binding: Binding, known: Iterable[str], members: Iterable[str] | None = None) -> None:
    """A misspelt member does nothing, and whoever looks for the reason finds it in the log.

    Args:
        known: what the type reads.
        members: what was sent; those of the config itself unless given.
    """
    if members is None:
        try:
            members = msgspec.json.decode(config_for_builtin(binding), type=dict[str, Raw])
        except msgspec.ValidationError:
            return
    names = sorted(known)
    for member in sorted(set(members).difference(names))[:_WARNED_OF]:
        hint = did_you_mean(member, names, "did you mean '{}'?", f"known: {', '.join(names)}.")
        MEMBER_IGNORED(
            trigger=binding.id, trigger_type=binding.trigger_type, function=binding.function_id, member=member[:100], hint=hint
        )  # fmt: skip
