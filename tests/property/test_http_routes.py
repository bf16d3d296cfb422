"""The route table against a model that tries every route, over any order of registrations and removals (03 §A4)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iii.modules.http.routes import Match, Route, RouteConflict, RouteTable
from iii.protocol.route_path import InvalidPath, parse_path

SEGMENTS = st.sampled_from(["a", "b", "", ":x", ":y", "{z}", "*", "{*w}"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
REQUESTS = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)
METHODS = st.sampled_from(["GET", "POST", "HEAD"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 5), METHODS, PATHS),
        st.tuples(st.just("remove"), st.integers(0, 5), st.none(), st.none()),
    ),
    max_size=12,
)


class Model:
    """Registrations in order; the last one of those that fit equally well serves."""

    def __init__(self) -> None:
        self.routes: list[tuple[int, str, Any]] = []  # trigger, method, segments

    def add(self, trigger: int, method: str, path: str) -> bool:
        segments = parse_path(path)
        shape = [segment.kind or segment for segment in segments]
        for other, its_method, its_segments in self.routes:
            same = its_method == method and [segment.kind or segment for segment in its_segments] == shape
            if same and other != trigger and its_segments != segments:
                return False
        self.remove(trigger)
        self.routes.append((trigger, method, segments))
        return True

    def remove(self, trigger: int) -> None:
        self.routes = [route for route in self.routes if route[0] != trigger]

    def match(self, method: str, path: str) -> tuple[int, dict[str, str]] | None:
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            fitting = [
                (rank, -position, trigger, params)
                for position, (trigger, its_method, segments) in enumerate(self.routes)
                if its_method == wanted and (fits := self.fit(segments, path)) is not None
                for rank, params in (fits,)
            ]
            if fitting:
                _, _, trigger, params = min(fitting, key=lambda each: each[:2])
                return trigger, params
        return None

    @staticmethod
    def fit(segments: Any, path: str) -> tuple[list[int], dict[str, str]] | None:
        parts = path[1:].split("/")
        rank: list[int] = []
        params = {}
        for index, segment in enumerate(segments):
            rest = parts[index:]
            if not rest:
                return None
            if segment.kind == "*":
                if rest == [""]:
                    return None
                params[segment.text] = "/".join(rest)
                return [*rank, 2], params
            if segment.kind == ":":
                if not rest[0]:
                    return None
                params[segment.text] = rest[0]
                rank.append(1)
            elif segment.text != rest[0]:
                return None
            else:
                rank.append(0)
        return (rank, params) if len(parts) == len(segments) else None


@given(STEPS, st.lists(st.tuples(METHODS, REQUESTS), min_size=1, max_size=6))
def test_03_A4_3_as_trying_every_route_would(steps: list[Any], requests: list[tuple[str, str]]) -> None:
    table: RouteTable[int] = RouteTable()
    model = Model()
    for what, trigger, method, path in steps:
        if what == "remove":
            table.remove(str(trigger), None)
            model.remove(trigger)
            continue
        try:
            route = Route(method, path, trigger, str(trigger), None)
        except InvalidPath:
            continue
        try:
            table.add(route)
            accepted = True
        except RouteConflict:
            accepted = False
        assert accepted == model.add(trigger, method, path)
    assert len(table) == len(model.routes)
    for method, path in requests:
        match = table.match(method, path)
        found = (match.route.target, match.path_params) if isinstance(match, Match) else None
        assert found == model.match(method, path)
