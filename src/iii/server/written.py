"""Blocks of a configuration file with their placeholders as they are written: a secret must not leave the environment (18 §2.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec
import yaml

from iii.modules.configuration.templates import AS_TEXT, filled
from iii.protocol.placeholders import PLACEHOLDER
from iii.server.document import LISTS, Document
from iii.storage.yaml_text import compose, construct


def with_placeholders(read: Document, text: str, environment: Mapping[str, str]) -> Document:
    """The document that was read from the text, with what each block is written as."""
    if read.entries is None or "${" not in text:
        return read
    marked = _Marked(text)
    try:
        node = compose(marked.text)
        content: Any = None if node is None else construct(node)
    except yaml.YAMLError:
        return read  # a placeholder stands for more than one value there
    if not isinstance(content, dict):
        return read
    blocks = {
        f"{name}[{index}]": marked.restored(item.get("config"))
        for name in LISTS
        if isinstance(items := content.get(name), list)
        for index, item in enumerate(items)
        if isinstance(item, dict)
    }
    entries = (
        entry._replace(written=_written(entry.block, blocks[entry.origin], environment))
        if entry.origin in blocks
        else entry._replace(from_variable=True)
        for entry in read.entries
    )
    return read._replace(entries=tuple(entries))


class _Marked:
    """A text with a word in the place of each placeholder, which YAML reads as a part of one value."""

    def __init__(self, text: str) -> None:
        self._found: list[str] = []
        self._word = next(word for n in count() if (word := f"III{n}x") not in text)
        self._mark = re.compile(rf"{self._word}(\d+)x")
        lines = text.split("\n")
        for number, line in enumerate(lines):
            if "${" in line and not line.lstrip().startswith("#"):
                lines[number] = PLACEHOLDER.sub(self._marked, line)
        self.text = "\n".join(lines)

    def _marked(self, found: re.Match[str]) -> str:
        self._found.append(found[0])
        return f"{self._word}{len(self._found) - 1}x"

    def restored(self, value: Any) -> Any:
        match value:
            case str():
                return self._mark.sub(lambda mark: self._found[int(mark[1])], value)
            case list():
                return [self.restored(item) for item in value]
            case dict():
                return {key: self.restored(item) for key, item in value.items()}
            case _:
                return value


def _written(value: Any, text: Any, environment: Mapping[str, str]) -> Any:
    """What fills to the value: the text where that is so, else what the file says."""
    if isinstance(value, dict) and isinstance(text, dict) and len(value) == len(text):
        return {
            key: _written(item, other, environment)
            for (key, item), other in zip(value.items(), text.values(), strict=True)
        }
    if isinstance(value, list) and isinstance(text, list) and len(value) == len(text):
        return [_written(item, other, environment) for item, other in zip(value, text, strict=True)]
    if not isinstance(text, str) or "${" not in text:
        return value
    result = _filled(text, environment)
    if type(result) is type(value) and result == value:
        return text
    # In quotes, a text may be what else would be a number; and YAML cuts white space around values
    form = f"{text.strip()}{AS_TEXT}"
    return form if isinstance(value, str) and _filled(form, environment).strip() == value.strip() else value


def _filled(text: str, environment: Mapping[str, str]) -> Any:
    return msgspec.json.decode(filled(msgspec.json.encode(text), environment).value)
