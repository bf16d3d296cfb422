"""Environment variables in the text of a configuration file (07 §4.2)."""

import pytest

from iii.protocol.start_failure import StartFailure
from iii.protocol.versions import PACKAGE_VERSION
from iii.server.expansion import expand


def expanded(text: str, **environment: str) -> str:
    return expand(text, environment, "config.yaml").text


@pytest.mark.parametrize(
    ("text", "environment", "result"),
    [
        ("${X:redis://h:6379/0}", {}, "redis://h:6379/0"),
        ("${X:}", {}, ""),
        ("$100 and ${UNCLOSED", {}, "$100 and ${UNCLOSED"),
        ("${X:default}", {"X": "value"}, "value"),
        ("${X:default}", {"X": ""}, ""),
        ("${X:-x}", {}, "-x"),
        ("a: ${X} # ${X}", {"X": "1"}, "a: 1 # 1"),
        ("${A}${B:b}", {"A": "${B}"}, "${B}b"),
        ("v: ${V:__III_ENGINE_VERSION__}", {}, f"v: {PACKAGE_VERSION}"),
        ("${}: 1", {}, "${}: 1"),
    ],
)
def test_07_check_35_references_are_replaced(text: str, environment: dict[str, str], result: str) -> None:
    assert expanded(text, **environment) == result


def test_07_check_35_unset_without_default_ends_the_start() -> None:
    with pytest.raises(StartFailure) as failure:
        expanded("workers: []\nport: ${III_TEST_PORT}\n")
    assert str(failure.value).startswith(
        "config.yaml:2: Environment variable 'III_TEST_PORT' not set and no default provided"
    )


def test_a_line_that_is_a_comment_is_left_alone() -> None:
    assert expanded("  # port: ${NEVER_SET}\nport: 1") == "  # port: ${NEVER_SET}\nport: 1"


def test_a_comment_behind_a_value_is_left_alone() -> None:
    """bugs.md, minor: only references that stand in a value need one."""
    text = "a: 1 # ${NEVER_SET}\nb: '# ${HASH:x}'\nworkers: [] # ${ALSO}"
    assert expanded(text) == "a: 1 # ${NEVER_SET}\nb: '# x'\nworkers: [] # ${ALSO}"
    with pytest.raises(StartFailure, match=r"config.yaml:2: Environment variable 'B' not set"):
        expanded("a: 1 # ${A}\nb: 'x # ${B}' # ${C}")


@pytest.mark.parametrize(
    ("text", "environment", "warning"),
    [
        (
            "folder: ${DATA:-./data}",
            {},
            'config.yaml:1: ${DATA:-./data}: the default is "-./data" with the hyphen; '
            'a shell would read "./data": for that, write ${DATA:./data}',
        ),
        (
            "\nport: ${PORT:3111}",
            {"PORT": ""},
            "config.yaml:2: ${PORT:3111}: the variable is set but empty, so the default is not used; "
            "unset it to use the default",
        ),
        (
            "a: ${A:${B:x}}",
            {},
            'config.yaml:1: ${A:${B:x}: references cannot be nested; the default is "${B:x", '
            "and what follows the reference stays in the text",
        ),
        ("a: ${A:-5} ${B:-1.5e3} ${C:x-y}", {}, None),
        ("# ${A:-x}", {}, None),
        ("a: ${A:x}", {"A": "1"}, None),
    ],
)
def test_P4_references_that_other_programs_read_differently_are_warned_of(
    text: str, environment: dict[str, str], warning: str | None
) -> None:
    assert expand(text, environment, "config.yaml").warnings == (() if warning is None else (warning,))


@pytest.mark.parametrize(
    "value",
    ["redis://h:6379/0", "a b", "it's", "C:\\temp", "-5", "x:y", " padded ", "[1, ü]", '{"a": 1}', '"a: b"', "ü"],
)
def test_a_value_that_means_itself_is_accepted(value: str) -> None:
    assert expanded("a:\n  key: ${V}\nb: 1", V=value) == f"a:\n  key: {value}\nb: 1"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("key: ${V}", "secret #tail"),
        ("key: ${V}", "a: b"),
        ("key: ${V}", "#all"),
        ("key: ${V}", "*alias"),
        ("key: ${V}", "@at"),
        ("key: ${V}", '"a" b'),
        ('key: "${V}"', 'say "hi"'),
        ('key: "${V}"', "C:\\temp"),
        ("key: '${V}'", "it's"),
        ("key: {url: ${V}}", "a,b"),
        ("key: [${V}]", "a, b"),
        ("key: ${V}", "'a' # 'b'"),
        ("key: ${V} # comment", "'a"),
        ("${V}: 1", "a: {b"),
    ],
)
def test_a_value_that_changes_the_structure_is_refused_by_name(line: str, value: str) -> None:
    with pytest.raises(
        StartFailure, match=r"^config.yaml:2: the value of environment variable 'V' cannot be inserted here"
    ):
        expanded(f"other: 1\n{line}\n", V=value)


def test_a_line_break_is_refused_even_in_a_comment() -> None:
    with pytest.raises(StartFailure, match="'V' cannot be inserted here: it contains a line break"):
        expanded("a: 1 # ${V}", V="x\nport: 1")


def test_the_guilty_one_of_several_variables_is_named() -> None:
    with pytest.raises(StartFailure, match="environment variable 'B'"):
        expanded("a: ${A}\nb: ${B}\nc: ${C}", A="x:y", B="x #y", C="[1]")


def test_a_file_that_is_broken_without_the_values_is_left_to_its_reader() -> None:
    assert expanded("a: [${V}\nb: }", V="x y") == "a: [x y\nb: }"


def test_an_alias_is_compared_once() -> None:
    text = "base: &base {url: ${V}}\na: *base\nb: *base"
    assert expanded(text, V="x y") == text.replace("${V}", "x y")
