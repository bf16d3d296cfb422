"""The codes of `configuration::*` (18 §2.2)."""

from iii.protocol.errors import ErrorCode

INVALID_ID = ErrorCode(
    "INVALID_ID", means="The id of a configuration entry is not 1 to 64 of `a-z`, `0-9`, `_` and `-`, or it is the id of a module.",
    do="Choose another id.",
)  # fmt: skip
NOT_REGISTERED = ErrorCode(
    "NOT_REGISTERED", means="No worker has registered the configuration entry.",
    do="Call `configuration::register` first, or correct the id.", retry="later",
)  # fmt: skip
SCHEMA_UNAVAILABLE = ErrorCode(
    "SCHEMA_UNAVAILABLE", means="The configuration entry was read from its file; the worker that has its schema has not registered it yet.",
    do="Start that worker.", retry="later",
)  # fmt: skip
SCHEMA_INVALID = ErrorCode(
    "SCHEMA_INVALID", means="A value does not fit the JSON Schema of its configuration entry, or the schema is not one; nothing was written.",
    do="Correct what the message names.",
)  # fmt: skip
VALUE_CHANGED = ErrorCode(
    "VALUE_CHANGED", means="A configuration entry has another value than the one that `expected` names; nothing was written.",
    do="Read the entry again with `raw`, and change that value.",
)  # fmt: skip
EXPAND_FAILED = ErrorCode(
    "EXPAND_FAILED", means="A value refers to an environment variable that is not set, without a default.",
    do="Set the variable for the engine, or give a default: `${NAME:DEFAULT}`.",
)  # fmt: skip
ADAPTER_ERROR = ErrorCode(
    "ADAPTER_ERROR", means="A configuration entry could not be written or removed; the old value is in force.",
    do="Look at the folder of the entries: permissions and free space.", retry="later",
)  # fmt: skip
