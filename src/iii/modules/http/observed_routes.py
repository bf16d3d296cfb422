"""Routes of clients that have no triggers: observers of `http::on-request`, in the same table (26 §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.observing.codes import INVALID_ARGS
from iii.engine.observing.source import EventSource
from iii.engine.schema import json_schema, late_schema
from iii.modules.http.codes import ROUTE_CONFLICT
from iii.modules.http.observed_route import ObservedRoute
from iii.modules.http.routes import Route, RouteConflict, RouteTable
from iii.modules.http.trigger_config import Endpoint, HttpCall
from iii.protocol.http_methods import METHODS
from iii.protocol.names import ON_REQUEST
from iii.protocol.quoted import shortened
from iii.protocol.route_path import InvalidPath

if TYPE_CHECKING:
    from iii.engine.observing.observer import Observer


class OnRequestArgs(Struct, forbid_unknown_fields=True, kw_only=True):
    """A route."""

    path: Annotated[str, Meta(description="Path with `:name` parameters, such as `/users/:id`.")]
    method: Annotated[str, Meta(description="HTTP method of the route.")] = "GET"
    middleware_function_ids: Annotated[
        tuple[str, ...], Meta(description="Functions called before the target, in this order.")
    ] = ()
    condition_function_id: Annotated[
        str | None, Meta(description="Function that refuses a request by returning false.")
    ] = None


class ObservedRoutes:
    """The host of `http::on-request`."""

    def __init__(
        self,
        routes: RouteTable[Endpoint],
        add: Callable[[Route[Endpoint]], None],
        remove: Callable[[Route[Endpoint], bool], None],
    ) -> None:
        """`add` raises what refuses a route; `remove` is told whether its worker may come again."""
        self._routes = routes
        self._add = add
        self._remove = remove
        self.source = EventSource(
            ON_REQUEST,
            "A request reached the HTTP port: each observer is a route, and what its target returns is the response.",
            request_format=late_schema(HttpCall),
            args_format=json_schema(OnRequestArgs),
            host=self,
        )

    def take(self, observer: Observer) -> None:
        """Raises InvocationError: it cannot have that route."""
        args = msgspec.convert(observer.decoded_args, OnRequestArgs)
        method = args.method.upper()
        if method not in METHODS:
            raise INVALID_ARGS(f"unsupported method '{shortened(args.method)}'; supported: {', '.join(METHODS)}")
        endpoint = Endpoint(
            observer.target, observer.target_namespace, args.path, observer.metadata,
            condition_function_id=args.condition_function_id, middleware_function_ids=args.middleware_function_ids,
            observed=ObservedRoute(self.source, observer),
        )  # fmt: skip
        try:
            self._add(Route(method, args.path, endpoint, _id(observer), observer))
        except InvalidPath as error:
            raise INVALID_ARGS(str(error)) from None
        except RouteConflict as error:
            raise ROUTE_CONFLICT(str(error)) from None

    def let_go(self, observer: Observer) -> None:
        for route in self._of(observer):
            self._remove(route, observer.party.peer is None)

    def changed(self, observer: Observer) -> None:
        """One that does not deliver leaves its place to others, and keeps it for later."""
        for route in self._of(observer):
            self._routes.show(route, live=observer.active)

    def _of(self, observer: Observer) -> Iterator[Route[Endpoint]]:
        route = self._routes.get(_id(observer))
        if route is not None and route.owner is observer:
            yield route


def _id(observer: Observer) -> str:
    return f"observer {observer.id}"
