"""What a configuration file says, before anybody asks which modules exist (07 §4.3)."""

import re
from collections.abc import Hashable, Iterable
from typing import Any, Literal, NamedTuple, NoReturn

import yaml

from iii.protocol.secrets import HIDDEN, resembles_secret
from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

Form = Literal["name", "class"]

LISTS = ("workers", "modules")  # processing order when both are present
TOP_LEVEL_KEYS = (*LISTS, "port", "registration_namespace_grace_ms")
ENTRY_KEYS = ("name", "class", "config", "image")
MAX_PORT = 65_535

_SHOWN_CODE_POINTS = 60
_LEVELS = 100  # of one value in another
_VALUES = 100_000  # of the whole file; they take some 2 s
_DIGITS = 4_000  # of a number


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


class YamlLoader(_SafeLoader):
    """YAML with the core schema of 1.2, which the format has always had: `no`, `12:30` and `2026-01-01` are texts."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):  # of constructors of tags: `!!int x`
            problem = f"not a value of type '{node.tag.removeprefix('tag:yaml.org,2002:')}'"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        pairs: Any = node.value
        for key, _ in pairs if isinstance(pairs, list) else ():  # `!!map x` is for the loader to refuse
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    raise yaml.MarkedYAMLError(problem=f"key '{key.value}' appears twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


YamlLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first_characters in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    YamlLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first_characters)
    )


def _construct_int(loader: YamlLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    if len(text) > _DIGITS:
        raise yaml.MarkedYAMLError(
            problem=f"a number of {len(text)} digits exceeds the limit of {_DIGITS}", problem_mark=node.start_mark
        )
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _refuse_tag(loader: YamlLoader, node: yaml.Node) -> NoReturn:
    tag = node.tag.replace("tag:yaml.org,2002:", "!!")
    raise yaml.MarkedYAMLError(problem=f"values of type {quoted(tag)} are not allowed", problem_mark=node.start_mark)


YamlLoader.yaml_constructors = {
    f"tag:yaml.org,2002:{name}": YamlLoader.yaml_constructors[f"tag:yaml.org,2002:{name}"]
    for name in ("null", "bool", "float", "str", "seq", "map")
}
YamlLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
YamlLoader.add_constructor(None, _refuse_tag)


def compose(text: str) -> yaml.Node | None:
    """The nodes of the only document of the text. Raises yaml.YAMLError, also for one beyond the bounds.

    libyaml composes recursively, without a bound of its own: a text of 50,000 brackets would end the process.
    """
    _refuse_excess(text)
    loader = YamlLoader(text)  # a safe loader
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _refuse_excess(text: str) -> None:
    """What an alias repeats counts again."""
    values = 0
    anchored: dict[str, tuple[int, int]] = {}  # levels and values
    open_ones: list[tuple[str | None, int]] = []  # anchor, and values up to there
    levels = [0]  # of each that is open, so far
    for event in yaml.parse(text, YamlLoader):
        below, more = 0, 1
        match event:
            case yaml.CollectionStartEvent():
                open_ones.append((event.anchor, values))
                levels.append(0)
            case yaml.CollectionEndEvent():
                anchor, before = open_ones.pop()
                below, more = levels.pop() + 1, 0
                if anchor is not None:
                    anchored[anchor] = below, values - before
            case yaml.AliasEvent():
                if any(anchor == event.anchor for anchor, _ in open_ones):
                    raise _excess(f"alias '*{event.anchor}' refers to a value that contains it", event)
                below, more = anchored.get(event.anchor or "", (0, 1))
            case yaml.ScalarEvent():
                pass
            case _:
                continue
        values += more
        levels[-1] = max(levels[-1], below)
        if len(open_ones) + below > _LEVELS:
            raise _excess(f"nested deeper than {_LEVELS} levels", event)
        if values > _VALUES:
            raise _excess(f"more than {_VALUES} values", event)


def _excess(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]  # either kind


def parse(text: str, source: str) -> Document:
    """Read expanded YAML text. Raises StartFailure naming `source`, the place and the remedy."""
    try:
        node = compose(text)
        content = None if node is None else _constructed(node)
    except yaml.YAMLError as error:
        raise StartFailure(f"{source}{_where(error)}: not valid YAML: {_problem(error, text)}") from None
    if content is None:
        return Document()
    if not isinstance(content, dict):
        raise StartFailure(
            f"{source}: expected keys such as 'workers:' at the top level, got {shown(content)}; an empty file is valid"
        )
    return _document(content, FilePosition(source, node=node))


def _constructed(node: yaml.Node) -> Any:
    loader = YamlLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _document(content: dict[Any, Any], place: FilePosition) -> Document:
    for key, value in content.items():
        if key not in TOP_LEVEL_KEYS:
            hint = suggestion(key, TOP_LEVEL_KEYS)
            raise StartFailure(f"{place.at(key)}: unknown top-level key {quoted(key)} ({value_of(key, value)}){hint}")
    entries: tuple[ListedModule, ...] | None = None
    for list_name in LISTS:
        items = content.get(list_name)
        if items is None:
            continue
        if not isinstance(items, list):
            raise StartFailure(f"{place.at(list_name)}: {list_name}: expected a list of modules, got {shown(items)}")
        listed = _below(place.node, list_name)
        nodes = listed[1].value if listed is not None else ()
        found = (
            _entry(item, FilePosition(place.source, f"{list_name}[{index}]", node))
            for index, (item, node) in enumerate(zip(items, nodes, strict=True))
        )
        entries = (*(entries or ()), *found)
    return Document(
        entries=entries,
        port=_whole_number(content, "port", MAX_PORT, place),
        grace_ms=_whole_number(content, "registration_namespace_grace_ms", None, place),
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
