"""The `config` of an `http` trigger (03 §A3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.http_methods import METHODS, Method
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.owner import Owner
    from iii.modules.http.observed_route import ObservedRoute


class HttpTriggerConfig(Struct, frozen=True, kw_only=True):
    """A route."""

    api_path: Annotated[str, Meta(description="Path with `:name` parameters, such as `/users/:id`.")]
    http_method: Annotated[Method, Meta(description="HTTP method of the route.")] = "GET"
    condition_function_id: Annotated[
        str | None, Meta(description="Function that refuses a request by returning false.")
    ] = None
    middleware_function_ids: Annotated[
        tuple[str, ...], Meta(description="Functions called before the handler, in this order.")
    ] = ()
    cancel_on_disconnect: Annotated[
        bool, Meta(description="Whether the function is cancelled when its client leaves before the response.")
    ] = False


class Endpoint(NamedTuple):
    """What a request leads to."""

    function_id: str
    namespace: str
    api_path: str  # that handlers are told
    metadata: bytes = b"null"
    binding: Binding | None = None
    condition_function_id: str | None = None
    middleware_function_ids: tuple[str, ...] = ()
    cancel_on_disconnect: bool = False
    observed: ObservedRoute | None = None

    @property
    def owner(self) -> Owner | ObservedRoute | None:
        """Whose route it is."""
        return self.observed if self.binding is None else self.binding.owner


class HttpCall(Struct, frozen=True, kw_only=True):
    """What the function gets (03 §A5)."""

    query_params: dict[str, str]
    path_params: dict[str, str]
    headers: dict[str, str]
    path: Annotated[str, Meta(description="Path of the route, as registered.")]
    method: str
    body: Annotated[Any, Meta(description="JSON body of the request; null without one.")]


class HttpResult(Struct, frozen=True, kw_only=True):
    """What the function returns (03 §A7)."""

    status_code: int = 200
    headers: dict[str, str] | list[str] = {}
    body: Any = None


class _Sent(Struct):
    """As registered, with whatever types a worker used."""

    api_path: Any = None
    http_method: Any = None
    condition_function_id: Any = None
    middleware_function_ids: Any = None
    cancel_on_disconnect: Any = None
    old_condition: Any = msgspec.field(name="_condition_path", default=None)


_decode = msgspec.json.Decoder(_Sent).decode


def read_trigger_config(config: bytes) -> HttpTriggerConfig:
    """Leniently: what has the wrong type counts as absent, where old clients send it. Raises TriggerRegistrationFailed."""
    try:
        sent = _decode(config)
    except msgspec.DecodeError:
        sent = _Sent()  # null, or no object
    if not isinstance(sent.api_path, str):
        raise TriggerRegistrationFailed("api_path is required for http triggers")
    given = sent.http_method.upper() if isinstance(sent.http_method, str) else "GET"
    method = next((method for method in METHODS if method == given), None)
    if method is None:
        raise TriggerRegistrationFailed(f"unsupported http_method '{shortened(str(sent.http_method))}'")
    cancels = sent.cancel_on_disconnect
    if cancels is not None and type(cancels) is not bool:
        shown = shortened(msgspec.json.encode(cancels).decode())
        raise TriggerRegistrationFailed(f"cancel_on_disconnect must be true or false, got {shown}")
    condition = sent.condition_function_id if sent.condition_function_id is not None else sent.old_condition
    middleware = sent.middleware_function_ids if isinstance(sent.middleware_function_ids, list) else []
    return HttpTriggerConfig(
        api_path=sent.api_path,
        http_method=method,
        condition_function_id=condition if isinstance(condition, str) else None,
        middleware_function_ids=tuple(each for each in middleware if isinstance(each, str)),
        cancel_on_disconnect=cancels is True,
    )
