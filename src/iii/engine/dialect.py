"""What differs between client generations, chosen once per session; no other file compares versions."""

from typing import Literal

from msgspec import Struct

from iii.protocol.limits import RECEIVER_DEFAULT_BYTES, RECEIVER_LARGE_BYTES, RECEIVER_OLD_PYTHON_BYTES
from iii.protocol.names import (
    BATCH_V1,
    CANCEL_FEATURE,
    LARGE_MESSAGES,
    LOCAL_DISPATCH,
    OBSERVE_V1,
    OBSERVE_V2,
    TRACES_V1,
)
from iii.protocol.versions import parse_version

Discovery = Literal["legacy", "modern"]

_PUBLISHED_RUNTIMES = frozenset({"python", "node", "rust", "go", "browser"})
_LEGACY_RUNTIMES = frozenset({"python", "node", "rust"})
_RECORDING_RUNTIMES = frozenset({"python", "node", "rust"})


class Dialect(Struct, frozen=True, kw_only=True):
    """How to speak to one client. The defaults are for one that has not said who it is."""

    newcomer_takes_id: bool = True  # before 0.23, or unknown: the latest registration wins (N4)
    understands_rejection: bool = False  # `registrationrejected` came with 0.23; it also makes names unique (N8)
    reattaches: bool = False  # since 0.22 a client that connects again says which connection was its own (01 §6.5, P12)
    receive_limit_bytes: int = RECEIVER_DEFAULT_BYTES  # larger messages are not sent (L13)
    discovery: Discovery | None = None  # shape of lists; None: the configured default (W3)
    object_formats_only: bool = False  # Python up to 0.10 refuses formats that are not objects (W5)
    named_formats_only: bool = False  # Python before 0.10 wants `name` and `type` in them (W5)
    object_trigger_metadata_only: bool = False  # Python providers (W5)
    understands_cancelling: bool = False  # clients that say so; others run on, and get no deadlines (P7, P11)
    observes: bool = False  # it understands messages about observers, and carries who calls (21 §2)
    says_matches: bool = False  # its results say which observers they are for (21 §9)
    dispatches_locally: bool = False  # it runs calls of its own functions by itself where it may (21 §11)
    knows_its_traces: bool = False  # answers to its calls need no trace context (17 §9)
    takes_batches: bool = False  # several messages may come in one frame (29 §1)
    status_always_connected: bool = False  # Go: its published test wants it (W1)
    records_calls: bool = (
        False  # since 0.19 a client makes a span of each call that it runs, so the engine makes none (O1)
    )


def choose_dialect(runtime: str | None, version: str | None, name: str | None, features: list[str] | None) -> Dialect:
    """The dialect of a client that announced itself like this."""
    known = parse_version(version)
    python = runtime == "python"
    said = features or ()
    modern_ownership = known is not None and known >= (0, 23, 0)
    return Dialect(
        newcomer_takes_id=not modern_ownership,
        understands_rejection=modern_ownership,
        reattaches=known is not None and known >= (0, 22, 0),
        receive_limit_bytes=_receive_limit(python and known is not None and known < (0, 24, 0), features),
        discovery=_discovery(runtime, known, name),
        object_formats_only=python and known is not None and known < (0, 11, 0),
        named_formats_only=python and known is not None and known < (0, 10, 0),
        object_trigger_metadata_only=python,
        understands_cancelling=CANCEL_FEATURE in said,
        observes=OBSERVE_V1 in said,
        says_matches=OBSERVE_V1 in said and OBSERVE_V2 in said,
        dispatches_locally=OBSERVE_V1 in said and LOCAL_DISPATCH in said,
        knows_its_traces=TRACES_V1 in said,
        takes_batches=BATCH_V1 in said,
        status_always_connected=runtime == "go",
        records_calls=runtime in _RECORDING_RUNTIMES and known is not None and known >= (0, 19, 0),
    )


def _receive_limit(old_python: bool, features: list[str] | None) -> int:
    if features and LARGE_MESSAGES in features:
        return RECEIVER_LARGE_BYTES
    return RECEIVER_OLD_PYTHON_BYTES if old_python else RECEIVER_DEFAULT_BYTES


def _discovery(runtime: str | None, version: tuple[int, int, int] | None, name: str | None) -> Discovery | None:
    if name in ("iii-cli", "iii-console") or (name or "").startswith("iii-cli:"):
        return None
    if runtime in _LEGACY_RUNTIMES and version is not None:
        return "legacy" if version < (0, 13, 0) else "modern"
    return "modern" if runtime in _PUBLISHED_RUNTIMES else None
