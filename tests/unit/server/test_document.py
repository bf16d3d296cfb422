"""The grammar of a configuration file (07 §4.3)."""

import pytest
import yaml

from iii.protocol.start_failure import StartFailure
from iii.server.document import Document, FilePosition, ListedModule, parse, shown
from iii.server.mistakes import Mistakes
from iii.storage.yaml_text import YamlLoader

NOWHERE = FilePosition("")


def read_whole(text: str) -> None:
    mistakes = Mistakes()
    parse(text, "config.yaml", mistakes)
    mistakes.told()


def mistake(text: str) -> str:
    with pytest.raises(StartFailure) as failure:
        read_whole(text)
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize("text", ["", "# only a comment", "{}", "workers:", "workers: null\nmodules: null"])
def test_07_check_37_a_document_without_modules_asks_for_the_default_set(text: str) -> None:
    assert parse(text, "config.yaml", Mistakes()).entries is None


def test_C1_an_empty_list_is_a_list() -> None:
    assert parse("workers: []", "config.yaml", Mistakes()).entries == ()


def test_07_check_36_both_grammars_and_both_lists() -> None:
    read = parse(
        "modules:\n- class: modules::api::RestApiModule\n  config: {port: 1}\nworkers:\n- name: iii-queue\nport: 0\n"
        "registration_namespace_grace_ms: 100",
        "config.yaml",
        Mistakes(),
    )
    assert read.entries is not None
    assert [str(entry.place) for entry in read.entries] == [
        "config.yaml:5: workers[0] (iii-queue)",
        "config.yaml:2: modules[0] (modules::api::RestApiModule)",
    ]
    assert read._replace(entries=tuple(entry._replace(place=NOWHERE) for entry in read.entries)) == Document(
        entries=(
            ListedModule("workers[0]", "name", "iii-queue", place=NOWHERE),
            ListedModule("modules[0]", "class", "modules::api::RestApiModule", {"port": 1}, place=NOWHERE),
        ),
        port=0,
        grace_ms=100,
    )


def test_07_check_38_unknown_top_level_key_is_an_error_naming_the_file() -> None:
    assert (
        mistake("wokers: []")
        == "config.yaml:1: unknown top-level key 'wokers' (an empty list), did you mean 'workers'?"
    )
    assert mistake("1: x").startswith("config.yaml:1: unknown top-level key '1' (\"x\"); known: workers, modules, port")


def test_07_check_38_unknown_entry_key_is_kept_for_the_reader_of_the_block() -> None:
    read = parse("workers: [{name: iii-queue, confg: {}}]", "config.yaml", Mistakes())
    assert read.entries is not None
    assert [(entry.name, entry.stray) for entry in read.entries] == [("iii-queue", ("confg",))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers: {a: 1}", "workers: expected a list of modules, got a mapping with 'a'"),
        (
            "workers: [iii-http]",
            "workers[0]: expected a mapping with 'name', got \"iii-http\"; write '- name: iii-http'",
        ),
        ("workers: [3]", "workers[0]: expected a mapping with 'name', got 3"),
        ("workers: [null]", "workers[0]: expected a mapping with 'name', got nothing"),
        ("modules: [{}]", "modules[0]: needs the key 'name'; known: name, class"),
        ("modules: [{nam: x}]", "modules[0]: needs the key 'name', did you mean 'name'?"),
        ("modules: [{name: a, class: b}]", "modules[0]: has both 'name' and 'class', keep one"),
        ("workers: [{name: 3}]", "workers[0]: name: expected the name of a module, got 3"),
        ("workers: [{name: ' '}]", 'workers[0]: name: expected the name of a module, got " "'),
        ("port: 70000", "port: expected a whole number from 0 to 65535, got 70000"),
        ("port: '1'", 'port: expected a whole number from 0 to 65535, got "1"'),
        ("port: true", "port: expected a whole number from 0 to 65535, got true"),
        ("port: [1]", "port: expected a whole number from 0 to 65535, got a list of 1"),
        (
            "registration_namespace_grace_ms: -1",
            "registration_namespace_grace_ms: expected a whole number of 0 or more, got -1",
        ),
        ("just words", "expected keys such as 'workers:' at the top level, got \"just words\"; an empty file is valid"),
        ("- a", "expected keys such as 'workers:' at the top level, got a list of 1; an empty file is valid"),
    ],
)
def test_wrong_types_name_the_place_and_the_value(text: str, expected: str) -> None:
    line = "" if expected.startswith("expected keys") else ":1"
    assert mistake(text) == f"config.yaml{line}: {expected}"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("workers: [", "config.yaml:2:1: not valid YAML: did not find expected node content"),
        ("a: b: c", "config.yaml:1:5: not valid YAML: mapping values are not allowed"),
        ("workers:\n\t- name: x", "config.yaml:2:1: not valid YAML: found character that cannot start any token"),
        ("port: 1\nport: 2", "config.yaml:2:1: not valid YAML: key 'port' appears twice"),
        ("a: *nowhere", "config.yaml:1:4: not valid YAML: found undefined alias"),
        (
            "a: !!python/object:os.system x",
            "config.yaml:1:4: not valid YAML: values of type '!!python/object:os.system' are not allowed",
        ),
        ("? [a]\n: b", "config.yaml:1:3: not valid YAML: found unhashable key"),
        ("a: \x01", "config.yaml"),
        ("--- 1\n--- 2", "config.yaml:2:1: not valid YAML: but found another document"),
        ("[" * 20_000, "config.yaml"),
    ],
)
def test_bad_yaml_names_line_and_column(text: str, start: str) -> None:
    assert mistake(text).startswith(start)


def test_tabs_are_told_as_such() -> None:
    assert mistake("workers:\n  \t- name: x").endswith("; indent with spaces, not tabs")
    assert not mistake("workers: [").endswith("tabs")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1.5e3", 1500.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("", None),
        ("=", "="),
        ('match("api::*")', 'match("api::*")'),
    ],
)
def test_scalars_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    read = yaml.load(f"key: {text}", YamlLoader)["key"]
    assert (read, type(read)) == (value, type(value))


def test_merge_keys_and_anchors_work() -> None:
    read = yaml.load("base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", YamlLoader)
    assert read["c"] == {"x": 1, "y": 3}


def test_shown_values_stay_on_one_line_and_short() -> None:
    assert shown("a\nb\x1b[31m") == '"a\\nb\\x1b[31m"'
    assert shown("x" * 100) == f'"{"x" * 60}…"'
    assert shown({}) == "an empty mapping"
    assert shown([]) == "an empty list"
