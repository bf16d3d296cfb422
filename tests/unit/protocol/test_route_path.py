"""The grammar of route paths (03 §A3, §A4.2)."""

import pytest

from iii.protocol.route_path import MAX_SEGMENTS, InvalidPath, Segment, parse_path

PARAMETER, WILDCARD = ":", "*"


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("users", [("", "users")]),
        ("/users", [("", "users")]),
        ("", [("", "")]),
        ("/", [("", "")]),
        ("//x", [("", ""), ("", "x")]),
        ("/a/", [("", "a"), ("", "")]),
        ("/users/:id", [("", "users"), (PARAMETER, "id")]),
        ("/users/{id}", [("", "users"), (PARAMETER, "id")]),
        ("/f/:id.json", [("", "f"), (PARAMETER, "id.json")]),
        ("/a:b", [("", "a:b")]),
        ("/f/*", [("", "f"), (WILDCARD, "*")]),
        ("/f/*rest", [("", "f"), (WILDCARD, "rest")]),
        ("/f/{*rest}", [("", "f"), (WILDCARD, "rest")]),
        ("/f/{*}", [("", "f"), (WILDCARD, "*")]),
    ],
)
def test_03_A4_2_segments(path: str, segments: list[tuple[str, str]]) -> None:
    assert parse_path(path) == tuple(Segment(*segment) for segment in segments)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/a/:", "a parameter has no name"),
        ("/a/{}", "a parameter has no name"),
        ("/a/pre{id}", "braces are not supported inside a segment"),
        ("/a/{id}post", "braces are not supported inside a segment"),
        ("/a/{id}{x}", "braces are not supported inside a segment"),
        ("/a/{", "braces are not supported inside a segment"),
        ("/a/}", "braces are not supported inside a segment"),
        ("/a/{a}b}", "braces are not supported inside a segment"),
        ("/:a/:a", "parameter 'a' appears twice"),
        ("/:a/{*a}", "parameter 'a' appears twice"),
        ("/*rest/a", "a wildcard must be the last segment"),
        ("/{*rest}/a", "a wildcard must be the last segment"),
    ],
)
def test_00_s4_3_paths_that_no_route_can_have(path: str, reason: str) -> None:
    with pytest.raises(InvalidPath) as error:
        parse_path(path)
    assert str(error.value) == f"invalid api_path '{path}': {reason}"


def test_a_path_has_a_bounded_number_of_segments() -> None:
    assert len(parse_path("/a" * MAX_SEGMENTS)) == MAX_SEGMENTS
    with pytest.raises(InvalidPath, match=f"more than {MAX_SEGMENTS} segments"):
        parse_path("/a" * (MAX_SEGMENTS + 1))
