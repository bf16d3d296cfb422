"""The messages of observers: only to and from workers that announced `observe.v1`.

Members that decide something are read leniently, so that a wrong one is answered by its name.
"""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.protocol.errors import ErrorBody
from iii.protocol.message import NULL, Message


class ObserveSource(Struct, omit_defaults=True):
    """Which calls: of this function, with these args of its host, that match these filters."""

    function_id: str
    namespace: str | None = None
    args: Raw = NULL
    filters: Raw = NULL
    capture: list[str] | None = None  # of input, output, error, caller, metadata
    on: str | None = None  # success, error, complete
    deliver: str | None = None  # envelope, input, output


class ObserveTarget(Struct, omit_defaults=True):
    """The function that an observer runs."""

    function_id: str
    namespace: str | None = None


class ObserverView(Struct):
    """An observer as the host of its function sees it."""

    id: str
    args: Raw
    filters: Raw
    target: str
    capture: list[str]
    on: str
    legacy: Raw | UnsetType = UNSET  # {trigger_type, config}


# -- the owner of an observer -------------------------------------------------------------------------------------


class Observe(Message):
    """W→E: run the target for each call of the source that matches."""

    id: str
    source: ObserveSource
    target: ObserveTarget
    metadata: Raw = NULL
    max_fires: int | None = None
    expires_in_ms: int | None = None
    max_in_flight: int | None = None


class Unobserve(Message):
    """W→E."""

    id: str


class ObserveResult(Message):
    """E→W: the one answer to `observe`."""

    id: str
    state: str  # pending, active, suspended, error, disposed
    error: ErrorBody | None = None
    warnings: list[str] | None = None


class ObserverStateChanged(Message):
    """E→W."""

    id: str
    state: str
    fires: int
    reason: ErrorBody | None = None


# -- the host of an observed function -----------------------------------------------------------------------------


class FunctionRegistered(Message):
    """E→W: a function of yours is served, and all its observers."""

    id: str
    namespace: str
    revision: int
    local_dispatch: bool
    observers: list[ObserverView]


class ObserverAdded(Message):
    """E→W."""

    function_id: str
    namespace: str
    revision: int
    observer: ObserverView


class ObserverRemoved(Message):
    """E→W."""

    function_id: str
    namespace: str
    revision: int
    id: str


class ObserverAck(Message):
    """W→E: the observer of this revision is known here; or refused."""

    function_id: str
    id: str
    revision: int
    namespace: str | None = None
    error: ErrorBody | None = None


class InvocationsObserved(Message):
    """W→E: calls that the host ran by itself; read one by one, as a bad one is dropped alone."""

    items: list[Raw]


class LocalInvocationStats(Message):
    """W→E: how many calls the host ran by itself."""

    window_ms: Raw = NULL
    functions: list[Raw] | None = None
    dropped_reports: list[Raw] | None = None


def depth_of(sent: Raw) -> int:
    """How many activations led to a call; whatever is not such a number is 0."""
    try:
        return max(0, _integer.decode(sent))
    except msgspec.MsgspecError:
        return 0


_integer = msgspec.json.Decoder(int)
