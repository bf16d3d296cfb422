"""What a configuration file says, before anybody asks which modules exist (07 §4.3)."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import yaml

from iii.protocol.secrets import HIDDEN, resembles_secret
from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean
from iii.server.mistakes import Mistakes
from iii.storage.yaml_text import compose, construct

Form = Literal["name", "class"]

LISTS = ("workers", "modules")  # processing order when both are present
TOP_LEVEL_KEYS = (*LISTS, "port", "registration_namespace_grace_ms")
ENTRY_KEYS = ("name", "class", "config", "image")
MAX_PORT = 65_535

_SHOWN_CODE_POINTS = 60


class FilePosition(NamedTuple):
    """Something in a file, for messages.

    Attributes:
        source: the file as the user named it.
        name: such as `workers[1] (iii-http)`; empty for the file itself.
        node: what the file says there; None without a file.
    """

    source: str
    name: str = ""
    node: yaml.Node | None = None

    def __str__(self) -> str:
        return self.at()

    def at(self, *path: object) -> str:
        """`config.yaml:12: workers[1] (iii-http)`: with the line of the key at `path`, or of what is nearest around it."""
        line = self.node.start_mark.line + 1 if self.node is not None and (self.name or path) else 0
        node = self.node
        for step in path:
            below = _below(node, step)
            if below is None:
                break
            key, node = below
            line = key.start_mark.line + 1
        return ": ".join(filter(None, (f"{self.source}:{line}" if line else self.source, self.name)))

    def line_of(self, *path: object) -> str | None:
        """`config.yaml:12`, of the key at `path`; None if the file does not have it."""
        node, line = self.node, None
        for step in path:
            below = _below(node, step)
            if below is None:
                return None
            key, node = below
            line = f"{self.source}:{key.start_mark.line + 1}"
        return line


def _below(node: yaml.Node | None, step: object) -> tuple[yaml.Node, yaml.Node] | None:
    """The node that stands for a key of a mapping or for an item of a list, and its value."""
    if isinstance(node, yaml.MappingNode):
        named = (
            pair for pair in reversed(node.value) if isinstance(pair[0], yaml.ScalarNode)
        )  # merged ones come first
        return next((pair for pair in named if pair[0].value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def dotted(path: Iterable[object]) -> str:
    """A path as people write it: `queue_configs.mail.steps[2]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


class ListedModule(NamedTuple):
    """One item of a list of modules.

    Attributes:
        origin: where it stands in the file: `workers[1]`.
        form: by which key the module is named; the old one, `class`, is judged more leniently (C4).
        name: as written.
        block: its `config`; None when absent or null.
        written: the same with placeholders as they are written; None: there are none.
        from_variable: whether one placeholder stands for more than its block, so that nothing in the block can stay one.
        has_image: whether it names a container image, which only an external worker may (07 §4.3).
        stray: further keys beside `name` and `config`; whether they belong into the block is for its reader to say.
        lost: those of them that hold settings.
        place: for messages; without a line if the file does not list it.
    """

    origin: str
    form: Form
    name: str
    block: object = None
    has_image: bool = False
    stray: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    place: FilePosition = FilePosition("")
    written: object = None
    from_variable: bool = False


class Document(NamedTuple):
    """A configuration file.

    Attributes:
        entries: of both lists; None if neither list is there or has a value, which asks for the default set (C1).
        port: top-level port of the old form; None when absent.
        grace_ms: `registration_namespace_grace_ms`; None when absent.
    """

    entries: tuple[ListedModule, ...] | None = None
    port: int | None = None
    grace_ms: int | None = None


def parse(text: str, source: str, mistakes: Mistakes) -> Document:
    """Read expanded YAML text. What is wrong in a part of it is noted, with `source`, the place and the remedy.

    Raises StartFailure if it cannot be read at all.
    """
    try:
        node = compose(text)
        content = None if node is None else construct(node)
    except yaml.YAMLError as error:
        raise StartFailure(f"{source}{_where(error)}: not valid YAML: {_problem(error, text)}") from None
    if content is None:
        return Document()
    if not isinstance(content, dict):
        raise StartFailure(
            f"{source}: expected keys such as 'workers:' at the top level, got {shown(content)}; an empty file is valid"
        )
    return _document(content, FilePosition(source, node=node), mistakes)


def _document(content: dict[Any, Any], place: FilePosition, mistakes: Mistakes) -> Document:
    for key, value in content.items():
        if key not in TOP_LEVEL_KEYS:
            hint = suggestion(key, TOP_LEVEL_KEYS)
            mistakes.note(f"{place.at(key)}: unknown top-level key {quoted(key)} ({value_of(key, value)}){hint}")
    entries: list[ListedModule] | None = None
    for list_name in LISTS:
        items = content.get(list_name)
        if items is None:
            continue
        if not isinstance(items, list):
            mistakes.note(f"{place.at(list_name)}: {list_name}: expected a list of modules, got {shown(items)}")
            continue
        listed = _below(place.node, list_name)
        nodes = listed[1].value if listed is not None else ()
        entries = entries or []
        for index, (item, node) in enumerate(zip(items, nodes, strict=True)):
            with mistakes.noted():
                entries.append(_entry(item, FilePosition(place.source, f"{list_name}[{index}]", node)))
    numbers: dict[str, int | None] = {}
    for key, maximum in (("port", MAX_PORT), ("registration_namespace_grace_ms", None)):
        with mistakes.noted():
            numbers[key] = _whole_number(content, key, maximum, place)
    return Document(
        entries=None if entries is None else tuple(entries),
        port=numbers.get("port"),
        grace_ms=numbers.get("registration_namespace_grace_ms"),
    )


def _entry(item: object, place: FilePosition) -> ListedModule:
    if not isinstance(item, dict):
        hint = f"; write '- name: {item}'" if isinstance(item, str) else ""
        raise StartFailure(f"{place}: expected a mapping with 'name', got {shown(item)}{hint}")
    given: list[Form] = [form for form in ("name", "class") if form in item]
    if len(given) != 1:
        problem = "has both 'name' and 'class', keep one" if given else "needs the key 'name'"
        misspelt = "" if given else suggestion(next(iter(item), ""), ("name", "class"))
        raise StartFailure(f"{place.at('name' if given else next(iter(item), ''))}: {problem}{misspelt}")
    form = given[0]
    name = item[form]
    if not isinstance(name, str) or not name.strip():
        raise StartFailure(f"{place.at(form)}: {form}: expected the name of a module, got {shown(name)}")
    stray = tuple(str(key) for key in item if key not in ENTRY_KEYS)
    lost = tuple(str(key) for key, value in item.items() if key not in ENTRY_KEYS and isinstance(value, dict) and value)
    name = name.strip()
    named = place._replace(name=f"{place.name} ({name})")
    return ListedModule(place.name, form, name, item.get("config"), item.get("image") is not None, stray, lost, named)


def _whole_number(content: dict[Any, Any], key: str, maximum: int | None, place: FilePosition) -> int | None:
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (maximum is not None and value > maximum):
        allowed = "of 0 or more" if maximum is None else f"from 0 to {maximum}"
        raise StartFailure(f"{place.at(key)}: {key}: expected a whole number {allowed}, got {shown(value)}")
    return value


def value_of(key: object, value: object) -> str:
    """The value under a key for messages; none that may be a secret, and an address may hold a password."""
    return HIDDEN if resembles_secret(key) or "@" in str(value) else shown(value)


def shown(value: object) -> str:
    """A value of the file as a person recognises it, on one line and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"a mapping with {', '.join(quoted(key) for key in list(value)[:3])}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = str(value)
    text = text if len(text) <= _SHOWN_CODE_POINTS else f"{text[:_SHOWN_CODE_POINTS]}…"
    return ascii_controls(f'"{text}"' if isinstance(value, str) else text)


def quoted(key: object) -> str:
    """A key of the file in single quotes."""
    return ascii_controls(f"'{str(key)[:_SHOWN_CODE_POINTS]}'")


def ascii_controls(text: str) -> str:
    """The text with control characters made visible, so that it stays on its line."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def suggestion(wrong: object, known: tuple[str, ...], otherwise: str | None = None) -> str:
    """`, did you mean 'x'?`, or else the other hint, or else the list of what there is."""
    return did_you_mean(str(wrong), known, otherwise=f"; known: {', '.join(known)}" if otherwise is None else otherwise)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError, text: str) -> str:
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None)
    line = text.splitlines()[mark.line : mark.line + 1] if mark is not None else []
    remedy = "; indent with spaces, not tabs" if line and line[0].lstrip(" ").startswith("\t") else ""
    return f"{problem} ({context}){remedy}" if context else f"{problem}{remedy}"
