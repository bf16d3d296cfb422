"""An exception as text, of a size that can be sent and logged, whatever it and its causes do when they are looked at.

The library's own formatter follows all causes, reads all frames and splits all texts first; then it is too late to cut.
"""

import traceback
from collections import deque
from collections.abc import Iterator
from itertools import islice
from types import FrameType, TracebackType
from typing import Any

TEXT_CHARACTERS = 2_000  # of what one error says
TRACEBACK_CHARACTERS = 16_384
_LINE_CHARACTERS = 600  # of one frame, with its line of source
_ERRORS = 8  # with causes and members of groups
_CAUSES = 4  # of one error, itself included
_MEMBERS = 3  # of one group
_FIRST_FRAMES = 4  # of one error: where it came from
_LAST_FRAMES = 16  # and where it was raised
_NOTES = 5
_OURS = ("iii.sdk.",)  # frames through which a handler is called say nothing of its failure

# Past what a class may say of itself
class_name: Any = type.__dict__["__name__"].__get__
_of_error = BaseException.__dict__
own_traceback: Any = _of_error["__traceback__"].__get__
_cause: Any = _of_error["__cause__"].__get__
_context: Any = _of_error["__context__"].__get__
_hides_context: Any = _of_error["__suppress_context__"].__get__
_members: Any = BaseExceptionGroup.__dict__["exceptions"].__get__


def shown(value: object, characters: int = TRACEBACK_CHARACTERS) -> str:
    """`str(value)` as UTF-8 can carry it, without its middle if it is longer."""
    try:
        return cut_middle(str.__str__(str(value)), characters)
    except BaseException:
        return f"<{class_name(type(value))} without a text>"


def cut_middle(text: str, characters: int) -> str:
    """The text as UTF-8 can carry it; of a longer one beginning, end, and how much is missing."""
    if len(text) > characters:
        end = characters // 2
        cut = len(text) - characters
        text = f"{text[: characters - end]} … ({cut} characters cut) … {text[-end:]}"
    return text.encode(errors="replace").decode()


def traceback_text(error: BaseException, characters: int = TRACEBACK_CHARACTERS) -> str:
    """As Python prints it, oldest cause first; the last frames of each error are there, others may be left out."""
    return cut_middle("\n".join(_told(error, [_ERRORS])), characters)


def _told(error: BaseException, errors_left: list[int]) -> Iterator[str]:
    chain: list[tuple[BaseException, str]] = [(error, "")]
    while len(chain) < _CAUSES and len(chain) < errors_left[0]:
        newest = chain[-1][0]
        cause = _cause(newest)
        before = cause if cause is not None or _hides_context(newest) else _context(newest)
        if before is None or any(before is each for each, _ in chain):
            break
        how = "was the direct cause of" if cause is not None else "was being handled during"
        chain.append((before, f"\nThe error above {how} the next one:\n"))
    errors_left[0] -= len(chain)
    for each, behind in reversed(chain):
        yield "Traceback (most recent call last):"
        yield from _frames(own_traceback(each))
        text = shown(each, TEXT_CHARACTERS)
        yield f"{_full_name(type(each))}: {text}" if text else _full_name(type(each))
        yield from _notes(each)
        if issubclass(type(each), BaseExceptionGroup):
            yield from _group(_members(each), errors_left)
        if behind:
            yield behind


def _frames(trace: TracebackType | None) -> Iterator[str]:
    first: list[tuple[FrameType, int]] = []
    last: deque[tuple[FrameType, int]] = deque(maxlen=_LAST_FRAMES)
    count = 0
    handler = from_outside(trace, _OURS) or trace
    for frame in traceback.walk_tb(handler):
        count += 1
        if len(first) < _FIRST_FRAMES:
            first.append(frame)
        else:
            last.append(frame)
    yield from _lines(first)
    if (left_out := count - len(first) - len(last)) > 0:
        yield f"  … ({left_out} frames left out)"
    yield from _lines(list(last))


def from_outside(trace: TracebackType | None, packages: tuple[str, ...]) -> TracebackType | None:
    """From its first frame on that is in none of these packages, each with a dot behind; None if there is no such frame."""
    while trace is not None and f"{trace.tb_frame.f_globals.get('__name__')}.".startswith(packages):
        trace = trace.tb_next
    return trace


def _lines(frames: list[tuple[FrameType, int]]) -> Iterator[str]:
    for frame, line in frames:
        try:
            (summary,) = traceback.StackSummary.extract(iter([(frame, line)]))
            yield cut_middle(f'  File "{summary.filename}", line {line}, in {summary.name}', _LINE_CHARACTERS)
            if summary.line:
                yield cut_middle(f"    {summary.line}", _LINE_CHARACTERS)
        except BaseException:  # its module's loader is asked for the source
            yield "  File ?"


def _full_name(kind: type) -> str:
    name: str = class_name(kind)
    try:
        module = kind.__dict__.get("__module__")
    except BaseException:
        return name
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"


def _notes(error: BaseException) -> Iterator[str]:
    try:
        notes: Any = getattr(error, "__notes__", ())
        for note in islice(notes, _NOTES):
            yield shown(note, TEXT_CHARACTERS)
    except BaseException:
        yield "<notes without a text>"


def _group(members: tuple[BaseException, ...], errors_left: list[int]) -> Iterator[str]:
    told = 0
    for each in members[:_MEMBERS]:
        if errors_left[0] <= 0:
            break
        told += 1
        yield f"  Error {told} of {len(members)} in the group:"
        yield from (f"  {line}" for part in _told(each, errors_left) for line in part.splitlines())
    if told < len(members):
        yield f"  … ({len(members) - told} errors of the group left out)"
