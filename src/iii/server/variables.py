"""Values that came into a configuration file from `${NAME}` may be secrets: texts name the variable instead."""

import re
from collections.abc import Iterable

from iii.server.document import ascii_controls

_SEGMENT = re.compile(r"""("[^"]*"|'[^']*'|(?<=\bgot )[^\s"';,]+)""")  # what a text quotes from the file
_PLAIN = re.compile(  # says nothing, and stands in texts for other reasons
    r"true|false|null|\d{1,5}|localhost|127\.0\.0\.1|0\.0\.0\.0|in_memory|file_based|redis|builtin|rabbitmq|"
    r"trace|debug|info|warn|error|json|default|iii-[a-z-]+"
)
_LEAST = 4  # characters of a value that is looked for within other text
_GLUED = 8  # of one that is found within a word
_CUT = 40  # texts cut values, at 60 characters or so; the cut one is known by its beginning


class Variables:
    """The values of one file.

    Args:
        values: name and value of each reference that was replaced by the value of a variable.
    """

    def __init__(self, values: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[str, str] = {}
        self._parts: dict[str, str] = {}  # of lists such as `info,iii.engine=debug`, whose parts are told one by one
        for name, value in values:
            for form in (value.strip(), ascii_controls(value.strip())):
                self._names.setdefault(form, f"${{{name}}}")
            parts = (part.strip() for part in re.split("[,=]", value))
            self._parts.update((part, f"${{{name}}}") for part in parts if part and not _PLAIN.fullmatch(part))
        self._names.pop("", None)
        longest_first = sorted((value for value in self._names if len(value) >= _LEAST), key=len, reverse=True)
        self._quoted = _any_of(map(re.escape, (*longest_first, *(part for part in self._parts if len(part) >= _LEAST))))
        self._anywhere = _any_of(
            re.escape(value) if len(value) >= _GLUED or not value.isalpha() else rf"(?<!\w){re.escape(value)}(?!\w)"
            for value in longest_first
            if not _PLAIN.fullmatch(value)
        )

    def hidden(self, text: str) -> str:
        """The text with each such value, whole or cut, replaced by `${NAME}`."""
        if not self._names:
            return text
        pieces = _SEGMENT.split(text)
        pieces[::2] = (self._anywhere.sub(self._name, piece) for piece in pieces[::2])
        pieces[1::2] = map(self._segment, pieces[1::2])
        return "".join(pieces)

    def _segment(self, segment: str) -> str:
        quote = segment[0] if segment[0] in "\"'" else ""
        inner = segment[1:-1] if quote else segment
        name = self._names.get(inner) or self._parts.get(inner)
        if name is None and len(inner) >= _CUT:
            inner = self._without_cut(inner)
        return f"{quote}{name or self._quoted.sub(self._name, inner)}{quote}"

    def _without_cut(self, inner: str) -> str:
        """The text without the beginning of a value at its end."""
        text = inner.removesuffix("…")
        for start in range(len(text) - _LEAST):
            for value, name in self._names.items():
                if len(value) > len(text) - start and value.startswith(text[start:]):
                    return text[:start] + name
        return inner

    def _name(self, found: re.Match[str]) -> str:
        return self._names.get(found[0]) or self._parts[found[0]]


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or r"(?!)")
