"""Pages for users: no page denies what exists, and prose has one sentence a line."""

import re
from pathlib import Path

import pytest

from docs.generator.sentences import one_sentence_a_line
from iii.protocol.names import TRIGGER_TYPE_MODULES
from iii.server.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DENIED = re.compile(
    r"(?:this version|this engine) (?:has|have|provides|knows) (?:no|not)\b|\bnot yet\b|\bno\b[^.;:]*\byet\b",
    re.IGNORECASE,
)
NAMES = {row.name for row in CATALOGUE}
NOUNS = {
    *NAMES,
    *(name.removeprefix("iii-") for name in NAMES),
    *(name for name, module in TRIGGER_TYPE_MODULES.items() if module in NAMES),
    "channel",
    "adapter",
    "metadata",
}


def denials(text: str) -> list[str]:
    """Lines that say of a module, trigger type or feature that it does not exist."""
    return [
        line
        for line in text.splitlines()
        if DENIED.search(line) and NOUNS & {*re.findall(r"[\w:-]+", line), *re.findall(r"\w+(?=s\b)", line)}
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_denies_what_the_catalogue_provides(page: Path) -> None:
    assert denials(page.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "This version has no module for `cron`.",
        "channels are not yet in this engine",
        "No module of this version has adapters yet",
    ],
)
def test_a_denial_is_found(line: str) -> None:
    assert denials(line)


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        (
            "One. Two `a. B` is\none. [Three](x.md) too? Yes.",
            ["One.", "Two `a. B` is one.", "[Three](x.md) too?", "Yes."],
        ),
        ("- One. Two,\n  still two.\n- Three.", ["- One.", "  Two, still two.", "- Three."]),
        ("See RFC 6455, e.g. Section 5. 1. stays here.", ["See RFC 6455, e.g. Section 5. 1. stays here."]),
        ("| a. B | c |", ["| a. B | c |"]),
        ("```text\nOne. Two.\n```\nThree. Four.", ["```text", "One. Two.", "```", "Three.", "Four."]),
        ("````text\n```\nOne. Two.\n````", ["````text", "```", "One. Two.", "````"]),
    ],
)
def test_prose_has_one_sentence_a_line(page: str, lines: list[str]) -> None:
    assert one_sentence_a_line(page).splitlines() == lines
    assert one_sentence_a_line("\n".join(lines)).splitlines() == lines
