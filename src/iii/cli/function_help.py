"""`iii trigger FN --help`: what a function wants, as its worker registered it (07 §8.2)."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from iii.cli.address import Address
from iii.cli.output import json_text, print_table
from iii.cli.parser import Parser, fail
from iii.protocol.names import FUNCTION_INFO, without_control_characters

_REFERENCE = "#/$defs/"
_LEVELS = 3  # of members in members: a schema may lead to itself
_ROWS = 200


def print_function_help(address: Address, function_id: str, namespace: str | None, parser: Parser) -> int:
    """Ask the engine and print; without an engine, a warning and the help of the command."""
    from iii.cli.asking import EngineSilent, EngineUnreachable
    from iii.cli.engine_call import ask
    from iii.cli.known import functions_like, meant
    from iii.protocol.errors import InvocationError

    request = {"function_id": function_id} | ({} if namespace is None else {"namespace": namespace})
    try:
        answer = ask(address, "trigger", FUNCTION_INFO, request)
    except (EngineUnreachable, EngineSilent) as error:
        print(f"warning: {error}\n", file=sys.stderr)
        parser.print_help()
        return 0
    except InvocationError as error:
        if error.code != "NOT_FOUND":
            return fail(f"{error.code}: {error.message}")
        near = meant(address, "trigger", function_id, functions_like(function_id)).replace(", did", " Did")
        hint = f"'iii function list' shows what can be called.{near}"
        print(f"error: function `{function_id}` not found in engine registry.\nhint: {hint}", file=sys.stderr)
        if "ambiguous" in error.message:
            print(f"hint: {without_control_characters(error.message)}", file=sys.stderr)
        return 1
    print_info(answer.result)
    return 0


def print_info(info: dict[str, Any]) -> None:
    """An answer of `engine::functions::info` for people."""
    function_id = without_control_characters(str(info["function_id"]))
    print(function_id)
    if info.get("description"):
        print(f"  {without_control_characters(str(info['description']))}")
    names = [str(copy["worker_name"]) for copy in info.get("replicas", {}).get("workers", ())]
    print(f"  served by {without_control_characters(', '.join(names) or str(info.get('worker_name') or '-'))}")
    schema = info.get("request_schema", info.get("request_format"))
    parameters = list(_parameters(schema)) if isinstance(schema, dict) else []
    required = " ".join(
        f"{without_control_characters(row[0])}=…" for row in parameters if row[2] == "yes" and "." not in row[0]
    )
    print(f"\nusage: iii trigger {function_id} {required or _form(schema)}\n")
    if parameters:
        print_table(("PARAMETER", "TYPE", "REQUIRED", "DESCRIPTION"), parameters)
    elif isinstance(schema, dict):
        print(f"request schema:\n{json_text(schema)}")
    else:
        print("(no request schema published)")


def _form(schema: Any) -> str:
    """How the payload is written: what is no object has no keys."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return "[KEY=VALUE …]" if kind in (None, "object") or not isinstance(kind, str) else "--json VALUE"


def _parameters(schema: dict[str, Any]) -> Iterator[list[str]]:
    """Name, type, required, description of each member of the payload, and of members of these: `rule.name`."""
    definitions = schema.get("$defs")
    definitions = definitions if isinstance(definitions, dict) else {}
    return islice(_members(_resolved(schema, definitions), definitions, ()), _ROWS)


def _members(schema: dict[str, Any], definitions: dict[str, Any], place: tuple[str, ...]) -> Iterator[list[str]]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return
    for name, member in properties.items():
        member = _resolved(member, definitions)
        description = str(member.get("description") or "")
        if "default" in member:
            description = f"{description} (default: {json.dumps(member['default'])})".strip()
        path = (*place, str(name))
        is_required = isinstance(required, list) and name in required
        yield [".".join(path), type_of(member), "yes" if is_required else "no", description]
        if len(path) < _LEVELS:
            yield from _members(_mapping_in(member, definitions), definitions, path)


def _mapping_in(member: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Of a member that may be null, too."""
    either = member.get("anyOf")
    choices = [_resolved(each, definitions) for each in either] if isinstance(either, list) else [member]
    return next((each for each in choices if isinstance(each.get("properties"), dict)), {})


def _resolved(member: object, definitions: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(member, dict):
        return {}
    reference = member.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REFERENCE):
        target = definitions.get(reference.removeprefix(_REFERENCE))
        if isinstance(target, dict):
            return target | {key: value for key, value in member.items() if key != "$ref"}
    return member


def type_of(member: object) -> str:
    """The type of a JSON Schema in a few words: `integer`, `array of string`, `"a" | "b"`, `string | null`."""
    if not isinstance(member, dict):
        return "any"
    if isinstance(member.get("enum"), list):
        return " | ".join(json.dumps(value) for value in member["enum"])
    if "const" in member:
        return json.dumps(member["const"])
    for key in ("anyOf", "oneOf"):
        if isinstance(member.get(key), list):
            return " | ".join(dict.fromkeys(map(type_of, member[key])))
    kind = member.get("type")
    if isinstance(kind, list):
        return " | ".join(map(str, kind))
    if kind == "array" and isinstance(member.get("items"), dict):
        return f"array of {type_of(member['items'])}"
    if isinstance(kind, str):
        return kind
    reference = member.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else "any"
