"""Whether a function may be observed so: by what it takes, and by what its schemas say of its calls (21 §6, 21 §7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from iii.engine.json_schema import problems
from iii.engine.observing.codes import INVALID_ARGS, INVALID_FILTER_PATH, NOT_OBSERVABLE
from iii.engine.observing.filters.paths_in_schema import check_paths
from iii.engine.observing.quick_schema import is_quick
from iii.protocol.names import ENGINE_PREFIX

if TYPE_CHECKING:
    from iii.engine.functions import Function, FunctionRegistry
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter


def check_source(functions: FunctionRegistry, definition: Definition, compiled: CompiledFilter) -> list[str]:
    """Warnings about an observer of a function, as far as that is known. Raises InvocationError: it is refused."""
    namespace, function_id = definition.key
    function = functions.exact(function_id, namespace)
    if function is None:
        return []
    if not function.traits.observable or (
        function.owner.in_process and function_id.startswith(ENGINE_PREFIX) and not function.traits.is_source
    ):
        raise NOT_OBSERVABLE(f"{function_id} is not observable")
    warnings = _check_args(function, definition.args)
    return warnings + _check_filter(function, compiled)


def _check_args(function: Function, args: bytes) -> list[str]:
    schema = function.traits.args_format
    if schema is None:
        if msgspec.json.decode(args):
            raise INVALID_ARGS(f"{function.id} takes no args")
        return []
    if not is_quick(schema, args):
        return ["args_format takes too long to check; args not verified by the engine"]
    found = problems(schema, args)
    if found:
        raise INVALID_ARGS("; ".join(found))
    return []


def _check_filter(function: Function, compiled: CompiledFilter) -> list[str]:
    warnings: list[str] = []
    for root, name, schema in (
        ("input", "request_format", function.request_format),
        ("output", "response_format", function.response_format),
    ):
        if root in compiled.roots and schema != b"null":
            closed, open_paths = check_paths(compiled.source, root, schema)
            if closed:
                raise INVALID_FILTER_PATH(f"{closed[0]} is not in {name}")
            warnings += [
                f"{path}: {name} is open{f' at {where}' if where else ''}; path not verified"
                for path, where in open_paths
            ]
    return warnings
