"""When each option of each module counts in an engine that runs: what is said of it is what happens (18 §3.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.inspect import (
    AnyType,
    BoolType,
    FloatType,
    IntType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    UnionType,
    type_info,
)

from iii.engine.module import Adjusted, Module
from iii.modules.queue.module import Queue
from iii.server import catalogue
from iii.server.catalogue import CATALOGUE, KnownModule
from iii.server.takes_effect import takes_effect
from iii.testing import FakeClock, MemoryEngine

UNTRIED = ("port", "prometheus_port", "tls")  # a port is to be bound, certificates are to be read: tests of reload do
SAMPLES: dict[str, Any] = {
    "adapter": {"name": "redis"}, "alerts": [{"name": "a", "metric": "m", "threshold": 1}], "allowed_origins": ["https://x.example"],
    "collapse_spans": [], "cors": {}, "endpoint": "http://127.0.0.1:4317", "level": "debug", "log_level": "debug",
    "middleware": [{"function_id": "f"}], "queue_configs": {"emails": {}}, "rbac": {"auth_function_id": "f"},
    "replicas": [{"match": "a::*", "policy": "least_busy"}], "request_id_header": "x-request-id", "sampling": {}, "security": {"url_allowlist": ["a"]},
    "topic_configs": {"t": {}}, "trace_storage": {},
    "trusted_proxies": ["10.0.0.0/8"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Of logging, which a change of `level` sets for the whole process."""
    before = logging.root.level
    yield
    logging.root.setLevel(before)


def another(key: str, described: msgspec.inspect.Type, default: Any) -> Any:
    """A value that an option may have, and does not have by default."""
    if key in SAMPLES:
        return SAMPLES[key]
    match described:
        case Metadata(type=inner):
            return another(key, inner, default)
        case UnionType(types=types):
            return another(key, next(each for each in types if not isinstance(each, NoneType)), default)
        case BoolType():
            return not default
        case IntType():
            return 86_399_999 if default is None else default + 1
        case FloatType():
            return 0.5
        case LiteralType(values=values):
            return next(value for value in values if value != default)
        case StrType():
            return "another"
        case AnyType():
            return "another"
    raise AssertionError(f"{key}: no sample of {described}")


def options() -> list[tuple[KnownModule, str]]:
    return [
        (known, field.encode_name)
        for known in CATALOGUE
        for field in msgspec.structs.fields(known.config_type())
        if field.encode_name not in UNTRIED
    ]


def blank(known: KnownModule) -> dict[str, Any]:
    """A block with what has no default."""
    return {"exec": ["true"]} if known.name == "iii-exec" else {}


@pytest.mark.parametrize(("known", "key"), options(), ids=lambda each: each if isinstance(each, str) else each.name)
async def test_18_s3_2_each_option_counts_when_the_command_says(
    known: KnownModule, key: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if known.load().adjust is Module.adjust:
        assert takes_effect(known.name, key) is Adjusted.MODULE  # it cannot do anything else
        return
    field = next(field for field in msgspec.structs.fields(known.config_type()) if field.encode_name == key)
    default = None if field.default is msgspec.NODEFAULT else field.default
    block = {**blank(known), key: another(key, type_info(field.type), default)}
    before = msgspec.convert(blank(known), known.config_type())
    module = known.load()(MemoryEngine(FakeClock()).core, before)
    if isinstance(module, Queue):
        await module.start()
    after = msgspec.convert(block, known.config_type())
    assert before != after
    assert await module.adjust(after) is takes_effect(known.name, key)


def test_18_s3_2_parts_of_an_option_and_further_instances_count_as_it_does() -> None:
    assert takes_effect("iii-queue", "queue_configs.emails.concurrency") is Adjusted.NOW
    assert takes_effect("iii-worker-manager#1", "rbac.tokens[0].name") is Adjusted.NOW
    assert takes_effect("iii-observability", "alerts[0].threshold") is Adjusted.NOW
    assert catalogue.by_name("iii-exec#2") is not None
    assert takes_effect("iii-exec#2", "exec") is Adjusted.MODULE
