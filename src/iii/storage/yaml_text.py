"""YAML 1.2 as files of settings are written in it, within bounds (07 §4.3)."""

import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

try:
    from yaml import CSafeDumper as _SafeDumper
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeDumper as _SafeDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_LEVELS = 100  # of one value in another
_VALUES = 100_000  # of the whole file; they take some 2 s
_DIGITS = 4_000  # of a number


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
    raise yaml.MarkedYAMLError(problem=f"values of type '{tag[:60]}' are not allowed", problem_mark=node.start_mark)


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


def construct(node: yaml.Node) -> Any:
    """The value of a node. Raises yaml.YAMLError."""
    loader = YamlLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Dumper(_SafeDumper):
    """Quotes every text that one version of YAML or the other would read as something else."""


_Dumper.yaml_implicit_resolvers = {
    first: [*_SafeDumper.yaml_implicit_resolvers.get(first, []), *YamlLoader.yaml_implicit_resolvers.get(first, [])]
    for first in {*_SafeDumper.yaml_implicit_resolvers, *YamlLoader.yaml_implicit_resolvers}
}


def dump(value: object) -> str:
    """YAML for people: block style, keys in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
    )
    return text
