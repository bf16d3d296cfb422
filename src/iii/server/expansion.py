"""`${NAME}` and `${NAME:DEFAULT}` in the text of a configuration file (07 §4.2)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import yaml

from iii.protocol.placeholders import ENGINE_VERSION_DEFAULT, PLACEHOLDER
from iii.protocol.start_failure import StartFailure
from iii.protocol.versions import PACKAGE_VERSION
from iii.server.document import shown
from iii.storage.yaml_text import compose

_NUMBER = re.compile(r"-[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_TOKEN = re.compile(r"IIIx\d+x")
_INERT = re.compile(r"(?:[\w/][\w./+=@-]*)?", re.ASCII)  # cannot mean more to YAML than one scalar
_QUOTES_AND_BRACKETS = ('""', "''", "[]", "{}")


class _Substitution(NamedTuple):
    """One reference that was replaced by the value of a variable, not by the default in the file."""

    name: str
    value: str
    line: int

    def token(self, index: int) -> str:
        return f"IIIx{index}x"


class Expanded(NamedTuple):
    """The text with every reference replaced.

    Attributes:
        warnings: what was probably not meant.
        values: name and value of each reference that was replaced by the value of a variable.
    """

    text: str
    warnings: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


def expand(text: str, environment: Mapping[str, str], source: str) -> Expanded:
    """Replace every reference, not recursively; comments stay as they are.

    Raises StartFailure for a variable without value and default, and for a value that would change the structure of
    the document around it: a secret with a `#` in it must not silently lose its tail.
    """
    substitutions: list[_Substitution] = []
    missing: list[_Substitution] = []
    expanded = _replace(
        text, environment, lambda found: _keep(substitutions, found), lambda found: _keep(missing, found)
    )
    _refuse_missing(text, environment, source, missing)
    for found in substitutions:
        if "\n" in found.value or "\r" in found.value:
            raise _structure_changed(found, source, "it contains a line break")
    if not all(_INERT.fullmatch(found.value) for found in substitutions):
        _check_structure(text, environment, source, substitutions)
    values = tuple((found.name, found.value) for found in substitutions)
    return Expanded(expanded, tuple(_warnings(text, environment, source)), values)


def _keep(kept: list[_Substitution], found: _Substitution) -> str:
    kept.append(found)
    return found.value


def _replace(
    text: str,
    environment: Mapping[str, str],
    substitute: Callable[[_Substitution], str],
    lack: Callable[[_Substitution], str],
) -> str:
    """Args:
    lack: what stands for a variable without value and default; its `value` is the reference itself.
    """

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = environment.get(name)
        if value is not None:
            return substitute(_Substitution(name, value, number))
        if default is None:
            return lack(_Substitution(name, match[0], number))
        return PACKAGE_VERSION if default == ENGINE_VERSION_DEFAULT else str(default)

    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if "${" in line and not line.lstrip().startswith("#"):
            lines[number - 1] = PLACEHOLDER.sub(replace, line)
    return "\n".join(lines)


def _refuse_missing(text: str, environment: Mapping[str, str], source: str, missing: list[_Substitution]) -> None:
    """Raise StartFailure for all references without value that are not in a comment behind a value."""
    if not missing:
        return
    counter = iter(range(len(missing)))
    marked = _replace(text, environment, lambda found: found.value, lambda found: found.token(next(counter)))
    try:
        said = set(_TOKEN.findall("\n".join(_scalars(compose(marked)))))
    except yaml.YAMLError:
        said = set(_TOKEN.findall(marked))  # the file itself is broken, or a value breaks it; this comes first
    lines = (
        f"{source}:{found.line}: Environment variable '{found.name}' not set and no default provided; "
        f"set it, or write ${{{found.name}:DEFAULT}}"
        for index, found in enumerate(missing)
        if found.token(index) in said
    )
    if text := "\n".join(dict.fromkeys(lines)):
        raise StartFailure(text)


def _scalars(root: yaml.Node | None) -> Iterator[str]:
    return (str(node.value) for node, _ in _pairs(root, root) if isinstance(node, yaml.ScalarNode))


def _warnings(text: str, environment: Mapping[str, str], source: str) -> Iterator[str]:
    """References that other programs read differently (P4)."""
    for number, line in enumerate(text.split("\n"), start=1):
        if "${" not in line or line.lstrip().startswith("#"):
            continue
        for match in PLACEHOLDER.finditer(line):
            name, default = match.groups()
            place = f"{source}:{number}: {match[0]}"
            if default is None:
                continue
            if "${" in default:
                yield (
                    f"{place}: references cannot be nested; the default is {shown(default)}, and what follows the "
                    "reference stays in the text"
                )
            elif environment.get(name) == "":
                yield f"{place}: the variable is set but empty, so the default is not used; unset it to use the default"
            elif default.startswith("-") and not _NUMBER.fullmatch(default):
                meant = f"${{{name}:{default[1:]}}}"
                yield (
                    f"{place}: the default is {shown(default)} with the hyphen; a shell would read "
                    f"{shown(default[1:])}: for that, write {meant}"
                )


def _check_structure(
    text: str, environment: Mapping[str, str], source: str, substitutions: list[_Substitution]
) -> None:
    """Compare the document with one that has a harmless word at each place, one value at a time."""

    def document(real: int | None) -> yaml.Node | None:
        counter = iter(range(len(substitutions)))

        def substitute(found: _Substitution) -> str:
            index = next(counter)
            return found.value if index == real else found.token(index)

        return compose(_replace(text, environment, substitute, lambda lacking: lacking.value))

    try:
        expected = document(None)
    except yaml.YAMLError:
        return  # the file itself is broken; its reader says so
    for index, found in enumerate(substitutions):
        if _INERT.fullmatch(found.value):
            continue
        try:
            actual = document(index)
        except yaml.YAMLError:
            raise _structure_changed(found, source, "the file would not be valid YAML") from None
        for place, node in _pairs(expected, actual):
            if not _fits(place, node, found.token(index), found.value):
                raise _structure_changed(found, source, "YAML would not read it as this text")


def _pairs(expected: yaml.Node | None, actual: yaml.Node | None) -> Iterator[tuple[yaml.Node | None, yaml.Node | None]]:
    """The nodes of both documents side by side, down to where they differ; aliases are entered once."""
    entered: set[int] = set()
    waiting = [(expected, actual)]
    while waiting:
        place, node = waiting.pop()
        same_kind = type(place) is type(node)
        if not same_kind or not isinstance(place, yaml.CollectionNode) or not isinstance(node, yaml.CollectionNode):
            yield place, node
        elif len(place.value) != len(node.value):
            yield place, None
        elif id(place) not in entered:
            entered.add(id(place))
            for left, right in zip(place.value, node.value, strict=True):
                waiting.extend(zip(left, right, strict=True) if isinstance(left, tuple) else [(left, right)])


def _fits(place: yaml.Node | None, node: yaml.Node | None, token: str, value: str) -> bool:
    if not isinstance(place, yaml.ScalarNode):
        return place is None and node is None
    intended = str(place.value).replace(token, value)
    if isinstance(node, yaml.ScalarNode) and node.value.strip() == intended.strip():
        return True
    # on purpose the whole value is one quoted text, list or mapping
    alone = place.value == token and not place.style  # libyaml says "" for plain, PyYAML None
    bare = value.strip()
    whole = node is not None and node.end_mark.column - node.start_mark.column == len(bare)
    return alone and whole and bare[:1] + bare[-1:] in _QUOTES_AND_BRACKETS


def _structure_changed(found: _Substitution, source: str, why: str) -> StartFailure:
    return StartFailure(
        f"{source}:{found.line}: the value of environment variable '{found.name}' cannot be inserted here: {why}; "
        f"""quote the reference ('${{{found.name}}}'), or change the value"""
    )
