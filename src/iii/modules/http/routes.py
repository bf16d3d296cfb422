"""The routes of all `http` triggers: which one a request is for (03 §A4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, NamedTuple, TypeVar

from iii.protocol.route_path import PARAMETER, WILDCARD, Segment, parse_path

T = TypeVar("T")


class RouteConflict(Exception):
    """A route of the same structure with other parameter names is there already (03 §A4.4)."""


class Route(Generic[T]):
    """One trigger's route. Raises InvalidPath."""

    __slots__ = (
        "api_path",
        "literal",
        "live",
        "method",
        "names",
        "number",
        "owner",
        "segments",
        "target",
        "trigger_id",
    )

    def __init__(
        self,
        method: str,
        api_path: str,
        target: T,
        trigger_id: str,
        owner: object,
    ) -> None:
        self.method = method
        self.api_path = api_path  # verbatim
        self.target = target
        self.trigger_id = trigger_id
        self.owner = owner
        self.live = True
        self.number = 0  # in the order of their registration
        self.segments = parse_path(api_path)
        self.names = tuple(segment.text for segment in self.segments if segment.kind)
        self.literal = None if self.names else "/" + "/".join(segment.text for segment in self.segments)

    @property
    def can_match(self) -> bool:
        """Whether a request can have such a path: a query is none of it, and other characters come percent-encoded."""
        return not any(character in "?#" or not "!" <= character <= "~" for character in self.api_path)


class Match(NamedTuple, Generic[T]):
    route: Route[T]
    path_params: dict[str, str]


class NoRoute(NamedTuple):
    """No route; `allowed` are the methods that the path has, sorted."""

    allowed: tuple[str, ...]


class _Node(Generic[T]):
    """A place in the tree of segments. For each method the routes that end here, the last one serves."""

    __slots__ = ("literals", "parameter", "routes", "wildcard")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.wildcard: _Node[T] | None = None
        self.routes: dict[str, list[Route[T]]] = {}

    @property
    def empty(self) -> bool:
        return not (self.literals or self.parameter or self.wildcard or self.routes)

    def child(self, segment: Segment) -> _Node[T] | None:
        if segment.kind == PARAMETER:
            return self.parameter
        return self.wildcard if segment.kind == WILDCARD else self.literals.get(segment.text)

    def grow(self, segment: Segment) -> _Node[T]:
        child = self.child(segment)
        if child is None:
            child = _Node()
            self._put(segment, child)
        return child

    def prune(self, segment: Segment) -> None:
        child = self.child(segment)
        if child is not None and child.empty:
            if segment.kind:
                self._put(segment, None)
            else:
                del self.literals[segment.text]

    def _put(self, segment: Segment, child: _Node[T] | None) -> None:
        if segment.kind == PARAMETER:
            self.parameter = child
        elif segment.kind == WILDCARD:
            self.wildcard = child
        elif child is not None:
            self.literals[segment.text] = child


class RouteTable(Generic[T]):
    """Looks up in a time that depends on the path alone, not on how many routes there are."""

    def __init__(self, ignore_trailing_slash: bool = False) -> None:
        self._ignore_trailing_slash = ignore_trailing_slash
        self._root: _Node[T] = _Node()
        self._literals: dict[str, dict[str, list[Route[T]]]] = {}  # by path: most routes have no parameters
        self._by_trigger: dict[str, Route[T]] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._by_trigger)

    def __iter__(self) -> Iterator[Route[T]]:
        """The routes that serve, by path and method."""
        serving = (route for route in self._by_trigger.values() if self._serves(route))
        return iter(sorted(serving, key=lambda route: (route.api_path.lstrip("/"), route.method)))

    def get(self, trigger_id: str) -> Route[T] | None:
        """A trigger's route."""
        return self._by_trigger.get(trigger_id)

    def has_other(self, route: Route[T]) -> bool:
        """Whether another trigger has the same method and path."""
        return bool(self.others(route))

    def others(self, route: Route[T]) -> list[Route[T]]:
        """The routes of other triggers with the same method and path."""
        node = self._node(route)
        return [] if node is None else [each for each in node.routes.get(route.method, ()) if each is not route]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Method and path of each, as registered."""
        return [(route.method, route.api_path) for route in self._by_trigger.values()]

    def add(self, route: Route[T], goes_before: Callable[[Route[T]], bool] = lambda other: False) -> None:
        """The last route of a method and path serves; the one before waits for its turn (T6).

        A trigger's earlier route goes (T4), unless the new one is refused.

        Args:
            goes_before: whether it is taken in any case in the place of another one.

        Raises:
            RouteConflict: nothing has changed.
        """
        earlier = self._by_trigger.get(route.trigger_id)
        node = self._node(route)
        stack = node.routes.get(route.method, []) if node is not None else []
        for other in stack:
            if other.names != route.names and other is not earlier and not goes_before(other):
                raise RouteConflict(
                    f"Route '{route.method} {route.api_path}' conflicts with already-registered route "
                    f"'{other.method} {other.api_path}': routes with identical structure but different path-parameter "
                    "names are not supported"
                )
        if earlier is not None:
            self._take_out(earlier)
        node = self._root
        for segment in self._segments(route):
            node = node.grow(segment)
        route.number = next(self._numbers)
        node.routes.setdefault(route.method, []).append(route)
        if route.literal is not None:
            self._literals[self._plain(route.literal)] = node.routes
        self._by_trigger[route.trigger_id] = route

    def show(self, route: Route[T], *, live: bool) -> None:
        """One that is not live serves only where no other is; it keeps its place."""
        node = self._node(route)
        if node is not None and route.live != live:
            route.live = live
            node.routes[route.method].sort(key=lambda each: (each.live, each.number))

    def remove(self, trigger_id: str, owner: object) -> None:
        """Only if the trigger is still this owner's."""
        route = self._by_trigger.get(trigger_id)
        if route is not None and route.owner is owner:
            self._take_out(route)

    def match(self, method: str, path: str) -> Match[T] | NoRoute:
        """The route for a request; `path` as in the request, nothing decoded. HEAD is served by GET where it must."""
        routes = self._literals.get(path if not self._ignore_trailing_slash else self._plain(path))
        if routes is not None and (stack := routes.get(method)) is not None:
            return Match(stack[-1], {})
        return self._search(method, self._plain(path))

    def _search(self, method: str, path: str) -> Match[T] | NoRoute:
        if not path.startswith("/"):
            return NoRoute(())
        parts = path[1:].split("/")
        allowed: set[str] = set()
        spare: Match[T] | None = None  # GET for HEAD
        for node, captured in _candidates(self._root, parts, 0, ()):
            stack = node.routes.get(method)
            if stack is not None:
                return _matched(stack[-1], captured)
            if spare is None and method == "HEAD" and "GET" in node.routes:
                spare = _matched(node.routes["GET"][-1], captured)
            allowed.update(node.routes)
        if spare is not None:
            return spare
        if "GET" in allowed:
            allowed.add("HEAD")
        return NoRoute(tuple(sorted(allowed)))

    def _take_out(self, route: Route[T]) -> None:
        del self._by_trigger[route.trigger_id]
        way: list[tuple[_Node[T], Segment]] = []
        node = self._root
        for segment in self._segments(route):
            way.append((node, segment))
            child = node.child(segment)
            assert child is not None  # it was added
            node = child
        stack = node.routes[route.method]
        stack.remove(route)
        if not stack:
            del node.routes[route.method]
        if not node.routes and route.literal is not None:
            del self._literals[self._plain(route.literal)]
        for parent, segment in reversed(way):
            parent.prune(segment)

    def _serves(self, route: Route[T]) -> bool:
        node = self._node(route)
        return node is not None and node.routes[route.method][-1] is route

    def _node(self, route: Route[T]) -> _Node[T] | None:
        node: _Node[T] | None = self._root
        for segment in self._segments(route):
            if node is None:
                return None
            node = node.child(segment)
        return node

    def _segments(self, route: Route[T]) -> tuple[Segment, ...]:
        segments = route.segments
        if self._ignore_trailing_slash and len(segments) > 1 and segments[-1] == ("", ""):
            return segments[:-1]
        return segments

    def _plain(self, path: str) -> str:
        if self._ignore_trailing_slash and len(path) > 1 and path.endswith("/"):
            return path[:-1]
        return path


def _matched(route: Route[T], captured: tuple[str, ...]) -> Match[T]:
    return Match(route, dict(zip(route.names, captured, strict=True)))


def _candidates(
    node: _Node[T], parts: list[str], at: int, captured: tuple[str, ...]
) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
    """Every end of the tree that the path leads to, best first: literal before parameter before wildcard, from the left."""
    if at == len(parts):
        if node.routes:
            yield node, captured
        return
    part = parts[at]
    literal = node.literals.get(part)
    if literal is not None:
        yield from _candidates(literal, parts, at + 1, captured)
    if node.parameter is not None and part:
        yield from _candidates(node.parameter, parts, at + 1, (*captured, part))
    if node.wildcard is not None and (part or at + 1 < len(parts)):
        yield node.wildcard, (*captured, "/".join(parts[at:]))
