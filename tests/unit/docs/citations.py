"""Ids of the specification (`docs/spec/`): where it defines them, and where comments, docstrings and names of tests cite them."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import iii

ROOT = Path(iii.__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
CHAPTERS = {path.name[:2]: path for path in sorted(SPEC.glob("[0-2][0-9]-*.md"))}
FAULTS = SPEC / "faults.md"

_NUMBER = r"[AB]?\d+(?:\.\d+)*"
_REVIEWS = "core|http|durable|bugs|newcomer|attack b|attack|limits|hang|kinds?"
_FAULT = r"(?:[CMS]?\d+[a-z]?|minor|(?<=newcomer )[a-h])"
_TO = r"(?:–|-| to )"
_CITATION = re.compile(
    rf"(?P<foreign>\bRFC \d+)"
    rf"|(?P<chapter>\b[0-2]\d)(?= (?:§|checks? \d|weak \d|[LNWITCOP]\d))"
    rf"|§ ?(?P<section>{_NUMBER})(?:{_TO}§?(?P<last_section>{_NUMBER}))?"
    rf"|\bchecks? (?P<checks>\d+[a-z]?\b(?:(?:, (?:and )?| and |{_TO})\d+[a-z]?\b(?! (?:§|check)))*)"
    rf"|\bweak (?P<weak>\d+)"
    rf"|(?P<decision>\b[LNWITCOP]\d{{1,2}}\b)(?:{_TO}(?P<last_decision>[LNWITCOP]\d{{1,2}})\b)?"
    rf"|\b(?P<review>{_REVIEWS}) (?:finding )?(?P<faults>{_FAULT}\b(?:(?:, | and )(?:{_REVIEWS} )?{_FAULT}\b(?! (?:§|check)))*)"
    rf"|(?P<letter>\bF[1-4]\b)"
)
_NAME = re.compile(
    r"_(?:(?P<chapter>[0-2]\d)_(?:checks?_(?P<checks>\d+[a-z]?(?:_(?:and_)?\d{1,2}[a-z]?(?=_))*)|s?(?P<section>[AB]?\d+(?:_\d+)*))"
    r"|(?P<decision>[LNWITCOP]\d{1,2})"
    r"|(?P<review>core|http|durable|bugs|newcomer|attack|limits|kind)_(?P<faults>[CMScms]?\d+[a-z]?(?:_[1-9]\d*(?=_))*|minor|(?<=newcomer_)[b-h])"
    r"|(?P<letter>F[1-4]))(?=_|$)"
)


_DEFINITION = re.compile(
    rf"^(?:##+ (?P<section>{_NUMBER}) .*|## (?P<heading>.*)|\*\*(?P<decision>[LNWITCOP]\d+)\*\* .*|- \*\*(?P<check>\d+[a-z]?)\*\* .*)$",
    re.MULTILINE,
)


class Definition(NamedTuple):
    """One id of the specification, and the section in which it stands."""

    id: str
    section: str


class Citation(NamedTuple):
    """What is cited, as its definition is called, and where.

    Attributes:
        ids: of several one has to exist; an empty one stands for none, as within a range: only its ends have to.
    """

    ids: tuple[str, ...]
    place: str


def definitions(chapter: str, text: str) -> Iterator[Definition]:
    """What a chapter defines: `01 §8.3`, `N4`, `01 check 14`."""
    section = f"{chapter} Checks"
    for found in _DEFINITION.finditer(text):
        if found["section"]:
            section = f"{chapter} §{found['section']}"
            yield Definition(section, section)
        elif found["heading"]:
            section = f"{chapter} {found['heading']}"
        elif found["decision"]:
            yield Definition(found["decision"], section)
        elif section == f"{chapter} Checks":
            yield Definition(f"{chapter} check {found['check']}", section)


def references(chapter: str, text: str) -> Iterator[tuple[str, ...]]:
    """What a chapter refers to; without a number of another chapter it means itself."""
    for paragraph in re.split(r"\n(?=\n|#|- \*\*|\| )", text):
        prose = re.sub(r"^\n*- \*\*\d+[a-z]?\*\*", "", paragraph)
        for ids in _in_prose(" ".join(prose.split())):
            yield tuple(each.replace("??", chapter) for each in ids)


def faults(text: str) -> list[str]:
    """The ids of the table of faults."""
    return re.findall(
        r"^\| ((?:core|http|durable|bugs|newcomer|attack b|attack|limits|hang|kind) [^ |]+|F\d) \|", text, re.M
    )


def citations(path: Path) -> Iterator[Citation]:
    """Everything that one file cites."""
    source = path.read_text()
    place = str(path.relative_to(ROOT))
    for line, text in _prose(source):
        for ids in _in_prose(text):
            yield Citation(ids, f"{place}:{line}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for ids in _in_name(node.name):
                yield Citation(ids, f"{place}:{node.lineno} {node.name}")


def _prose(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, `spec="…"` of builtins, and comments."""
    for node in ast.walk(ast.parse(source)):
        value = (
            node.value if isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "spec") else None
        )
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, " ".join(value.value.split())
    for line, text in enumerate(source.splitlines(), 1):
        if comment := re.search(r"(?:^|\s)# (.*)", text):
            yield line, comment[1]


def _in_prose(text: str) -> Iterator[tuple[str, ...]]:
    chapter = ""
    for found in _CITATION.finditer(text):
        if found["foreign"]:
            chapter = "foreign"
        elif found["chapter"]:
            chapter = found["chapter"]
        elif found["section"] and chapter != "foreign":
            yield from _sections(chapter or "??", found["section"], found["last_section"])
        elif found["checks"]:
            yield from _checks(chapter or "??", found["checks"])
        elif found["weak"]:
            yield (f"{chapter or '??'} weak {found['weak']}",)
        elif found["decision"]:
            first, last = found["decision"], found["last_decision"] or found["decision"]
            yield from {(first,), (last,)}
            yield from ((f"{first[0]}{number}", "") for number in range(int(first[1:]) + 1, int(last[1:])))
        elif found["review"]:
            review = found["review"].removesuffix("s") if found["review"] == "kinds" else found["review"]
            for fault in re.split(r", | and ", found["faults"]):
                name, _, number = fault.rpartition(" ")
                yield (f"{name or review} {number}",)
        elif found["letter"]:
            yield (found["letter"],)


def _in_name(name: str) -> Iterator[tuple[str, ...]]:
    rest = name.removeprefix("test")
    while found := _NAME.match(rest):
        rest = rest[found.end() :]
        if found["checks"]:
            for number in found["checks"].replace("and_", "").split("_"):
                yield (f"{found['chapter']} check {number.lstrip('0')}",)
        elif found["section"]:  # numbers of the sentence may follow those of the section
            parts = found["section"].split("_")
            yield tuple(f"{found['chapter']} §{'.'.join(parts[:length])}" for length in range(len(parts), 0, -1))
        elif found["decision"]:
            yield (found["decision"],)
        elif found["review"]:
            review = found["review"]
            for number in found["faults"].split("_"):
                yield (
                    f"{review} {number[0].upper()}{number[1:]}"
                    if len(number) > 1 and number[0] in "cms" and number != "minor"
                    else f"{review} {number}",
                )
        elif found["letter"]:
            yield (found["letter"],)


def _sections(chapter: str, first: str, last: str | None) -> Iterator[tuple[str, ...]]:
    yield (f"{chapter} §{first}",)
    if last is not None:
        head, start = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]  # it is a number
        end = re.findall(r"\d+", last)[-1]
        yield (f"{chapter} §{head}{end}",)
        yield from ((f"{chapter} §{head}{number}", "") for number in range(int(start) + 1, int(end)))


def _checks(chapter: str, text: str) -> Iterator[tuple[str, ...]]:
    for part in re.split(r", and |, | and ", text):
        ends = re.split(_TO, part)
        yield from ((f"{chapter} check {end}",) for end in ends)
        first, last = (int(re.sub(r"\D", "", end)) for end in (ends[0], ends[-1]))
        yield from ((f"{chapter} check {number}", "") for number in range(first + 1, last))


def files(folders: Iterable[str] = ("src", "tests")) -> Iterator[Path]:
    """The sources that cite, these tools left out."""
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if path.parent != Path(__file__).parent)
