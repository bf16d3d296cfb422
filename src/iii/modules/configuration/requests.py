"""What `configuration::*` are asked and answer, and what its triggers deliver (18 §2)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

_Id = Annotated[str, Meta(description="Id of the entry.")]

EventType = Literal["configuration:registered", "configuration:updated", "configuration:deleted"]


class RegisterConfigurationInput(Struct, frozen=True, kw_only=True):
    """An entry, new or again."""

    id: Annotated[str, Meta(description="Id of the entry: 1 to 64 of `a-z`, `0-9`, `_`, `-`.")]
    name: Annotated[str, Meta(description="Name for people.")]
    description: Annotated[str, Meta(description="What the entry is for.")]
    schema: Annotated[Raw, Meta(description="JSON Schema of the value; null: not known yet.")]
    initial_value: Annotated[
        Raw | UnsetType, Meta(description="Value to set; absent or null: the stored value is kept.")
    ] = UNSET
    metadata: Annotated[Raw | UnsetType, Meta(description="Anything the owner wants to keep beside it.")] = UNSET


class ConfigurationSetInput(Struct, frozen=True, kw_only=True):
    """A new value, as a whole."""

    id: _Id
    value: Annotated[Raw, Meta(description="The new value; it replaces the old one as a whole.")]
    raw: Annotated[
        bool | None,
        Meta(
            description="Whether the value is stored as it is given. Otherwise what a placeholder of the old value fills to stays that placeholder."
        ),
    ] = None
    expected: Annotated[
        Raw | UnsetType,
        Meta(description="Raw value that the entry must have, else nothing is set; absent: any."),
    ] = UNSET


class ConfigurationGetInput(Struct, frozen=True, kw_only=True):
    """Which value."""

    id: _Id
    raw: Annotated[bool | None, Meta(description="Whether placeholders stay as they are written.")] = None
    live: Annotated[
        bool | None, Meta(description="For entries of modules: the settings that the module runs with, defaults too.")
    ] = None


class ConfigurationListInput(Struct, frozen=True, kw_only=True):
    """All of them."""


class ConfigurationIdInput(Struct, frozen=True, kw_only=True):
    """Which entry."""

    id: _Id


class ConfigurationSchema(Struct, frozen=True, kw_only=True):
    """An entry without its value."""

    id: str
    name: str
    description: str
    schema: Raw
    metadata: Raw | UnsetType = UNSET


class ConfigurationEntry(Struct, frozen=True, kw_only=True):
    """An entry; its value with placeholders as they were written."""

    id: str
    name: str
    description: str
    schema: Raw
    value: Raw
    metadata: Raw | UnsetType = UNSET


class ConfigurationValue(Struct, frozen=True):
    """A value, with placeholders filled unless the raw one was asked for."""

    id: str
    value: Raw


class ConfigurationChange(Struct, frozen=True):
    """What was, and what is now; placeholders as they were written."""

    old_value: Raw
    new_value: Raw


class ConfigurationDeleted(Struct, frozen=True):
    """What was; false and null where nothing was stored."""

    deleted: bool
    old_value: Raw


class ConfigurationListing(Struct, frozen=True):
    """All entries by id, without values."""

    configurations: list[ConfigurationSchema]


class RunningOption(Struct, frozen=True):
    """One option that a module runs with; its value is hidden where it may be a secret."""

    module: str
    key: str
    value: Raw
    origin: str


class RunningSettings(Struct, frozen=True):
    """Of all modules, in start order."""

    options: list[RunningOption]


class ConfigurationTriggerConfig(Struct, frozen=True, kw_only=True):
    """Which changes."""

    configuration_id: Annotated[str | None, Meta(description="Id of one entry; absent: all entries.")] = None
    event_types: Annotated[
        list[str] | None,
        Meta(
            description="`configuration:registered`, `configuration:updated`, `configuration:deleted`; absent: all of them."
        ),
    ] = None
    condition_function_id: Annotated[
        str | None,
        Meta(description="Function that gets the event first; only its `false` keeps the target from being called."),
    ] = None


class ConfigurationEvent(Struct, frozen=True, kw_only=True):
    """What a target gets; values with placeholders filled where that is possible."""

    event_type: EventType
    id: str
    name: str
    description: str
    schema: Raw
    old_value: Raw
    new_value: Raw
    metadata: Raw | UnsetType = UNSET
    type: Literal["configuration"] = "configuration"
