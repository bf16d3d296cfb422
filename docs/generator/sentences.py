"""Prose of pages that are written by hand: one sentence a line, so that a change shows the sentence that it changes."""

import re
from collections.abc import Iterator

_END = re.compile(r"(?<=[.!?])(?P<closing>[\"”)*_]*) (?=[\"“(*_]*[A-Z0-9\0\[])")
_CODE = re.compile(r"`+[^`]+`+")
_SHORT = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|No)|…)\.$")
_ITEM = re.compile(r"(?P<indent> *)(?P<mark>[-*] |\d+\. )?(?P<text>.*)")
_MARK = re.compile(r"[-+*>#|] |\d+[.)] |=+$|-+$")
_VERBATIM = re.compile(r" *(?:#|\||<|!\[|$)")
_FENCE = re.compile(r" *(?P<ticks>```+)")


def one_sentence_a_line(page: str) -> str:
    """The page with each sentence of its paragraphs and list items on a line of its own; it renders as before."""
    return "".join(f"{line}\n" for line in _lines(page))


def _lines(page: str) -> Iterator[str]:
    paragraph = ticks = ""
    for line in page.splitlines():
        fence, item = _FENCE.match(line), _ITEM.fullmatch(line)
        if ticks or fence or _VERBATIM.match(line):
            yield from _sentences(paragraph)
            paragraph = ""
            yield line
            if fence and (not ticks or ticks == fence["ticks"]):
                ticks = "" if ticks else fence["ticks"]
        elif item is not None and (item["mark"] or not paragraph):
            yield from _sentences(paragraph)
            paragraph = line
        else:
            paragraph = f"{paragraph} {line.strip()}"
    yield from _sentences(paragraph)


def _sentences(paragraph: str) -> Iterator[str]:
    """Each with the indent of the first one's text; what would begin another block stays behind its predecessor."""
    item = _ITEM.fullmatch(paragraph)
    if item is None or not paragraph:
        return
    first = item["indent"] + (item["mark"] or "")
    codes = iter(_CODE.findall(item["text"]))
    for number, piece in enumerate(_split(_CODE.sub("\0", item["text"]))):
        text = re.sub("\0", lambda _: next(codes), piece)
        yield (first if number == 0 else " " * len(first)) + text


def _split(text: str) -> list[str]:
    pieces: list[str] = []
    at = 0
    for end in _END.finditer(text):
        before, after = text[at : end.end() - 1], text[end.end() :]
        if not _SHORT.search(before) and not _MARK.match(after):
            pieces.append(before)
            at = end.end()
    return [*pieces, text[at:]]
