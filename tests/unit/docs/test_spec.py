"""The specification in `docs/spec/`: each id that is cited is defined there, once, and each of its rules is shown by a test."""

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from iii.protocol import errors
from iii.protocol.errors import InvocationError
from iii.server.catalogue import CATALOGUE
from tests.unit.docs.citations import CHAPTERS, FAULTS, Citation, citations, definitions, faults, files, references

OVERVIEW = CHAPTERS["00"].read_text()
DEFINED = [each for chapter, path in CHAPTERS.items() for each in definitions(chapter, path.read_text())]
KNOWN = {each.id for each in DEFINED} | set(faults(FAULTS.read_text()))


@pytest.fixture(scope="module")
def cited() -> list[Citation]:
    return list(chain.from_iterable(map(citations, files())))


@pytest.mark.parametrize("path", CHAPTERS.values(), ids=lambda path: path.name)
def test_a_chapter_is_short_in_every_direction(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    assert [line for line in lines if len(line) > 160] == []
    assert lines[0].startswith(f"# {path.name[:2]} ")


def test_nothing_is_defined_twice() -> None:
    ids = [each.id for each in DEFINED] + faults(FAULTS.read_text())
    assert [each for each, times in Counter(ids).items() if times > 1] == []


def test_what_is_cited_is_defined(cited: list[Citation]) -> None:
    unknown = [each for each in cited if "" not in each.ids and KNOWN.isdisjoint(each.ids)]
    assert [f"{each.ids[0]}: {each.place}" for each in unknown] == []


def test_every_decision_and_every_check_is_shown_by_a_test(cited: list[Citation]) -> None:
    shown = {each for citation in cited if citation.place.startswith("tests") for each in citation.ids}
    assert [each.id for each in DEFINED if "§" not in each.id and each.id not in shown] == []


def test_every_fault_in_the_table_is_cited(cited: list[Citation]) -> None:
    named = {each for citation in cited for each in citation.ids}
    assert [each for each in faults(FAULTS.read_text()) if each not in named] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_refers_to_is_there(chapter: str) -> None:
    found = references(chapter, CHAPTERS[chapter].read_text())
    assert [ids for ids in found if "" not in ids and KNOWN.isdisjoint(ids)] == []


def test_the_overview_says_where_each_decision_stands() -> None:
    decisions = [each for each in DEFINED if " " not in each.id]
    rows = {f"| {each.id} | {each.section} |" for each in decisions}
    assert set(re.findall(r"^\| [A-Z]\d+ \| .*$", OVERVIEW, re.MULTILINE)) == rows


def test_the_overview_has_every_code_and_every_module() -> None:
    codes = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, InvocationError)
    }
    names = codes | {name for module in CATALOGUE for name in (module.name, *module.classes)}
    assert sorted(name for name in names if f"`{name}`" not in OVERVIEW) == []


def test_the_tools_know_every_form_of_a_citation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.docs.citations.ROOT", tmp_path)
    source = tmp_path / "cites.py"
    source.write_text(
        '"""A module (01 §5.12, §A6.1, N2–N4; 02 checks 3, 5–7 and 9; core 3a, 17, RFC 6455 §5.2)."""\n'
        'def test_04_check_20_P15_two_of_them():\n    """newcomer c, durable S2, P16."""  # kind 2, 03 §A4\n'
    )
    found = {each for citation in citations(source) for each in citation.ids} - {""}
    assert found == {
        "01 §5.12", "01 §A6.1", "N2", "N3", "N4", "02 check 3", "02 check 5", "02 check 6", "02 check 7", "02 check 9",
        "core 3a", "core 17", "04 check 20", "P15", "newcomer c", "durable S2", "P16", "kind 2", "03 §A4",
    }  # fmt: skip
