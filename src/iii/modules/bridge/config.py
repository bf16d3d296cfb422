"""The `iii-bridge` block (07 §6.2)."""

import os
from typing import Annotated, Any

from msgspec import Meta, Struct

from iii.protocol.address import fault_of, masked
from iii.protocol.without_effect import without_effect
from iii.remote.client_tls_config import ClientTlsConfig
from iii.remote.config import CALL_TIMEOUT_MS

DEFAULT_URL = "ws://127.0.0.1:49134"

_FunctionId = Annotated[str, Meta(min_length=1)]
_NONE = without_effect("services are not registered any more")


class ExposeRule(Struct, frozen=True, kw_only=True):
    """A function of this engine that the other one gets."""

    local_function: Annotated[_FunctionId, Meta(description="Id here.")]
    remote_function: Annotated[str | None, Meta(description="Id there; the same one by default.")] = None


class ForwardRule(Struct, frozen=True, kw_only=True):
    """A function of the other engine that this one gets."""

    local_function: Annotated[_FunctionId, Meta(description="Id here.")]
    remote_function: Annotated[_FunctionId, Meta(description="Id there.")]
    timeout_ms: Annotated[int, Meta(ge=1, description="Longest wait for its answer, in milliseconds.")] = (
        CALL_TIMEOUT_MS
    )


class BridgeConfig(Struct, frozen=True, kw_only=True):
    """A connection to another engine."""

    url: Annotated[
        str | None,
        Meta(description=f"WebSocket address of the other engine; by default `III_URL`, else `{DEFAULT_URL}`."),
    ] = None
    tls: Annotated[
        ClientTlsConfig | None, Meta(description="Certificates of the connection, for an address of `wss://`.")
    ] = None
    expose: Annotated[list[ExposeRule], Meta(description="Functions of this engine that the other one gets.")] = []
    forward: Annotated[list[ForwardRule], Meta(description="Functions of the other engine that this one gets.")] = []
    worker_name: Annotated[
        str | None,
        Meta(description="How the other engine lists this one; by default `iii-bridge-client:HOST:PID`."),
    ] = None
    service_id: Annotated[Any, _NONE] = None
    service_name: Annotated[Any, _NONE] = None

    def __post_init__(self) -> None:
        if self.url is not None and (fault := fault_of(self.url)) is not None:
            raise ValueError(f"url: {masked(self.url)!r} is not a WebSocket address such as '{DEFAULT_URL}'{fault}")
        named: set[str] = set()
        for rule in self.forward:
            if rule.local_function in named:
                raise ValueError(f"forward: two entries have the local_function '{rule.local_function}'; keep one")
            named.add(rule.local_function)

    def address(self) -> str:
        """Where to connect to."""
        return self.url or os.environ.get("III_URL", "").strip() or DEFAULT_URL
