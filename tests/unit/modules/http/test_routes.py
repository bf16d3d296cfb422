"""Which route a request is for (03 §A4)."""

from __future__ import annotations

import itertools

import pytest

from iii.modules.http.routes import Match, NoRoute, Route, RouteConflict, RouteTable

_ids = itertools.count()


def table(*routes: str, ignore_trailing_slash: bool = False) -> RouteTable[str]:
    """Routes as `METHOD path`; each leads to its own text."""
    found: RouteTable[str] = RouteTable(ignore_trailing_slash)
    for text in routes:
        add(found, text)
    return found


def add(routes: RouteTable[str], text: str, trigger_id: str | None = None, owner: object = None, to: str = "") -> None:
    method, _, path = text.partition(" ")
    routes.add(Route(method, path, to or text, trigger_id or f"t{next(_ids)}", owner))


def found(routes: RouteTable[str], request: str) -> tuple[str, dict[str, str]] | tuple[str, ...]:
    """Target and parameters, or the methods that there are."""
    method, _, path = request.partition(" ")
    match = routes.match(method, path)
    return match.allowed if isinstance(match, NoRoute) else (match.route.target, match.path_params)


def test_03_check_3_a_parameter_is_one_segment() -> None:
    routes = table("GET test/items/:id")
    assert found(routes, "GET /test/items/abc123") == ("GET test/items/:id", {"id": "abc123"})
    assert found(routes, "GET /test/items/") == ()
    assert found(routes, "GET /test/items/a/b") == ()


def test_03_check_5_nothing_is_decoded() -> None:
    routes = table("GET /items/:id")
    assert found(routes, "GET /items/hello%20world") == ("GET /items/:id", {"id": "hello%20world"})
    assert found(routes, "GET /items/a%2Fb") == ("GET /items/:id", {"id": "a%2Fb"})


@pytest.mark.parametrize("order", [("GET /items/:id", "GET /items/copy"), ("GET /items/copy", "GET /items/:id")])
def test_03_check_9_a_literal_goes_before_a_parameter(order: tuple[str, str]) -> None:
    routes = table(*order)
    assert found(routes, "GET /items/copy") == ("GET /items/copy", {})
    assert found(routes, "GET /items/7") == ("GET /items/:id", {"id": "7"})


def test_03_A4_3_priority_is_from_left_to_right_with_backtracking() -> None:
    routes = table("GET /a/:x/c", "GET /a/b/d", "GET /:y/b/:z", "GET /a/*rest", "GET /users/:id", "GET /users/:n/posts")
    assert found(routes, "GET /a/b/d") == ("GET /a/b/d", {})
    assert found(routes, "GET /a/b/c") == ("GET /a/:x/c", {"x": "b"})
    assert found(routes, "GET /a/b/e") == ("GET /a/*rest", {"rest": "b/e"})
    assert found(routes, "GET /q/b/e") == ("GET /:y/b/:z", {"y": "q", "z": "e"})
    assert found(routes, "GET /users/1/posts") == ("GET /users/:n/posts", {"n": "1"})
    assert found(routes, "GET /users/1") == ("GET /users/:id", {"id": "1"})


def test_03_A4_2_a_wildcard_takes_one_segment_at_least() -> None:
    routes = table("GET /wc/{*rest}", "GET /bare/*")
    assert found(routes, "GET /wc/a/b/c") == ("GET /wc/{*rest}", {"rest": "a/b/c"})
    assert found(routes, "GET /wc/a/") == ("GET /wc/{*rest}", {"rest": "a/"})
    assert found(routes, "GET /bare/x") == ("GET /bare/*", {"*": "x"})
    assert found(routes, "GET /wc/") == found(routes, "GET /wc") == ()


def test_03_check_10_the_same_shape_with_other_names_is_refused() -> None:
    routes = table("GET a/:x/:y")
    with pytest.raises(RouteConflict) as error:
        add(routes, "GET /a/:y/:x")
    assert str(error.value) == (
        "Route 'GET /a/:y/:x' conflicts with already-registered route 'GET a/:x/:y': routes with identical structure "
        "but different path-parameter names are not supported"
    )
    assert found(routes, "GET /a/1/2") == ("GET a/:x/:y", {"x": "1", "y": "2"})


def test_03_check_11_methods_have_their_own_names() -> None:
    routes = table("GET /users/:id", "POST /users/:userId")
    assert found(routes, "GET /users/7") == ("GET /users/:id", {"id": "7"})
    assert found(routes, "POST /users/7") == ("POST /users/:userId", {"userId": "7"})


def test_03_check_12_the_last_registration_serves_and_only_its_owner_takes_it_away() -> None:
    routes: RouteTable[str] = RouteTable()
    add(routes, "GET /api/x", "a", "worker A", "A")
    add(routes, "GET api/x", "b", "worker B", "B")
    assert found(routes, "GET /api/x") == ("B", {})
    routes.remove("b", "worker A")
    assert found(routes, "GET /api/x") == ("B", {})
    routes.remove("a", "worker A")
    assert found(routes, "GET /api/x") == ("B", {})
    routes.remove("b", "worker B")
    assert found(routes, "GET /api/x") == ()
    assert len(routes) == 0


def test_T6_the_newest_older_route_comes_back() -> None:
    routes: RouteTable[str] = RouteTable()
    for name in "abc":
        add(routes, "GET /x/:id", name, to=name)
    routes.remove("c", None)
    assert found(routes, "GET /x/1") == ("b", {"id": "1"})
    routes.remove("b", None)
    assert found(routes, "GET /x/1") == ("a", {"id": "1"})
    assert [route.target for route in routes] == ["a"]


def test_T4_a_trigger_registered_again_gives_up_its_first_path() -> None:
    routes: RouteTable[str] = RouteTable()
    add(routes, "GET /old", "t")
    add(routes, "GET /new", "t")
    assert found(routes, "GET /old") == ()
    assert found(routes, "GET /new") == ("GET /new", {})
    add(routes, "GET /p/:a", "u")
    add(routes, "GET /p/:b", "u")  # its own earlier route is no conflict
    assert found(routes, "GET /p/1") == ("GET /p/:b", {"b": "1"})


def test_T4_it_keeps_the_first_path_if_the_second_is_refused() -> None:
    routes = table("GET /p/:a")
    add(routes, "GET /old", "t")
    with pytest.raises(RouteConflict):
        add(routes, "GET /p/:b", "t")
    assert found(routes, "GET /old") == ("GET /old", {})


def test_03_check_14_methods_that_the_path_has() -> None:
    routes = table("POST /only-post", "DELETE /items/:id", "GET /items/copy")
    assert found(routes, "GET /only-post") == ("POST",)
    assert found(routes, "PUT /items/copy") == ("DELETE", "GET", "HEAD")
    assert found(routes, "DELETE /items/copy") == ("DELETE /items/:id", {"id": "copy"})


def test_03_check_15_slashes_and_case_matter() -> None:
    routes = table("GET /a", "GET //x")
    assert found(routes, "GET /a/") == found(routes, "GET /A") == found(routes, "GET //a") == ()
    assert found(routes, "GET //x") == ("GET //x", {})
    assert found(routes, "GET /x") == ()


def test_03_A4_1_the_empty_path_is_the_root() -> None:
    routes = table("GET ")
    assert found(routes, "GET /") == ("GET ", {})
    add(routes, "GET /")
    assert found(routes, "GET /") == ("GET /", {})


def test_03_A4_5_head_is_answered_by_get_unless_it_has_a_route() -> None:
    routes = table("GET /a", "GET /b", "HEAD /b", "GET /c/:id", "HEAD /c/special")
    assert found(routes, "HEAD /a") == ("GET /a", {})
    assert found(routes, "HEAD /b") == ("HEAD /b", {})
    assert found(routes, "HEAD /c/1") == ("GET /c/:id", {"id": "1"})
    assert found(routes, "HEAD /c/special") == ("HEAD /c/special", {})


def test_03_A2_trailing_slashes_may_be_ignored() -> None:
    routes = table("GET /a/", "GET /b/:id", "GET /", ignore_trailing_slash=True)
    assert found(routes, "GET /a") == found(routes, "GET /a/") == ("GET /a/", {})
    assert found(routes, "GET /b/1/") == ("GET /b/:id", {"id": "1"})
    assert found(routes, "GET /") == ("GET /", {})
    add(routes, "GET /a", "t")
    assert found(routes, "GET /a/") == ("GET /a", {})
    routes.remove("t", None)
    assert found(routes, "GET /a") == ("GET /a/", {})


def test_what_is_no_path_matches_nothing() -> None:
    assert found(table("GET /:a"), "GET *") == ()
    assert found(table("GET /:a"), "GET ") == ()


def test_routes_are_listed_by_path_and_method() -> None:
    routes = table("POST /b", "GET b", "GET /a/:id")
    assert [(route.method, route.api_path) for route in routes] == [("GET", "/a/:id"), ("GET", "b"), ("POST", "/b")]


def test_a_hostile_path_costs_no_more_than_there_are_routes() -> None:
    """Each place of the tree is looked at once for a given path, whatever is registered."""
    shapes = itertools.product((True, False), repeat=8)
    routes = table(*("GET /" + "/".join("a" if own else f":p{at}" for at, own in enumerate(shape)) for shape in shapes))
    assert found(routes, "GET /" + "/".join("a" * 8)) == ("GET /a/a/a/a/a/a/a/a", {})
    assert found(routes, "GET /" + "/".join("a" * 7 + "b"))[0] == "GET /a/a/a/a/a/a/a/:p7"
    assert found(routes, "GET /" + "/".join("a" * 30_000)) == ()


def test_matches_are_told_apart_from_misses() -> None:
    assert isinstance(table("GET /a").match("GET", "/a"), Match)
    assert isinstance(table("GET /a").match("GET", "/b"), NoRoute)
