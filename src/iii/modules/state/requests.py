"""What the functions of state are asked, and answer (05 §1)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.storage.update import Ops

ALIASES = {"group_id": "scope", "item_id": "key"}  # of the first previews


class StateSetInput(Struct, kw_only=True):
    scope: str
    key: str
    value: Any


class SetRequest(Struct, kw_only=True):
    """As read: the value may be called `data`."""

    scope: str
    key: str
    value: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET


class StateGetInput(Struct, kw_only=True):
    scope: str
    key: str


class StateDeleteInput(Struct, kw_only=True):
    scope: str
    key: str


class StateUpdateInput(Struct, kw_only=True):
    scope: str
    key: str
    ops: Ops


class StateListInput(Struct, kw_only=True):
    scope: str


class StateListGroupsInput(Struct, kw_only=True):
    pass


class StateListEntriesInput(Struct, kw_only=True):
    scope: str
    cursor: Annotated[
        str | None, Meta(description="`next_cursor` of the previous page; absent: first page of a new snapshot.")
    ] = None
    limit: int = 100
    max_bytes: int = 1_000_000


class StateCompareAndSetInput(Struct, kw_only=True):
    scope: str
    key: str
    expected_value: Raw
    new_value: Raw


class StateSetResult(Struct, kw_only=True):
    old_value: Raw
    new_value: Raw


class StateUpdateResult(Struct, kw_only=True, omit_defaults=True):
    old_value: Raw
    new_value: Raw
    errors: Annotated[list[Any], Meta(description="Operations that were skipped; absent if there are none.")] = []


class StateGroups(Struct, kw_only=True):
    groups: list[str]


class StateKeys(Struct, kw_only=True):
    keys: list[str]


class StateEntries(Struct, kw_only=True):
    entries: Annotated[list[tuple[str, Any]], Meta(description="Pairs of key and value.")]
    next_cursor: str | None
    done: bool
    offset: int
    total: int


class StateOutcome(Struct, kw_only=True):
    outcome: Annotated[str, Meta(description="`applied`, `conflict` or `not_found`.")]


class StateTriggerConfig(Struct, kw_only=True):
    """Which changes call the function; absent: all of them."""

    scope: str | None = None
    key: str | None = None
    condition_function_id: str | None = None


class StateEvent(Struct, kw_only=True):
    """What the function gets."""

    type: str
    event_type: Annotated[str, Meta(description="`state:created`, `state:updated` or `state:deleted`.")]
    scope: str
    key: str
    old_value: Any = None
    new_value: Any
