"""What differs between client generations (L13, N4, W1, W3, W5)."""

import pytest

from iii.engine.dialect import Dialect, choose_dialect
from iii.protocol.limits import MIB
from iii.testing import FakeClock, MemoryEngine


@pytest.mark.parametrize(
    ("runtime", "version", "features", "limit_mib"),
    [
        ("python", "0.9.0", None, 1),
        ("python", "0.23.0", None, 1),
        ("python", "0.24.0", None, 16),
        ("python", "0.25.0", ["large-messages.v1"], 64),
        ("python", "0.23.0", ["large-messages.v1"], 64),
        ("python", "unknown", None, 16),
        ("node", "0.9.0", None, 16),
        ("browser", None, [], 16),
    ],
)
def test_L13_receive_limits(runtime: str, version: str | None, features: list[str] | None, limit_mib: int) -> None:
    assert choose_dialect(runtime, version, "w", features).receive_limit_bytes == limit_mib * MIB


@pytest.mark.parametrize(
    ("version", "takes_over"),
    [("0.22.1", True), ("0.23.0-rc.4", False), ("0.23.0", False), ("1.0.0", False), ("1", True), (None, True)],
)
def test_N4_who_takes_an_id(version: str | None, takes_over: bool) -> None:
    dialect = choose_dialect("node", version, None, None)
    assert dialect.newcomer_takes_id is takes_over
    assert dialect.understands_rejection is not takes_over


@pytest.mark.parametrize(
    ("runtime", "version", "name", "shape"),
    [
        ("python", "0.10.0", "w", "legacy"),
        ("node", "0.11.6", "w", "legacy"),
        ("rust", "0.12.9", "w", "legacy"),
        ("python", "0.13.0", "w", "modern"),
        ("go", "0.1.0", "w", "modern"),
        ("browser", None, None, "modern"),
        ("python", None, "w", "modern"),
        ("unknown", "0.25.0", "w", None),
        ("python", "0.25.0", "iii-cli:trigger", None),
        ("node", "0.25.0", "iii-console", None),
    ],
)
def test_W3_shape_of_lists(runtime: str, version: str | None, name: str | None, shape: str | None) -> None:
    assert choose_dialect(runtime, version, name, None).discovery == shape


def test_W5_formats_that_old_python_refuses() -> None:
    old, newer, newest = (choose_dialect("python", version, None, None) for version in ("0.9.0", "0.10.0", "0.11.0"))
    assert (old.object_formats_only, old.named_formats_only) == (True, True)
    assert (newer.object_formats_only, newer.named_formats_only) == (True, False)
    assert (newest.object_formats_only, newest.named_formats_only) == (False, False)
    assert newest.object_trigger_metadata_only
    assert choose_dialect("go", None, None, None).status_always_connected
    assert Dialect() == choose_dialect(None, None, None, None)


def test_W5_python_providers_get_only_object_metadata(engine: MemoryEngine, clock: FakeClock) -> None:
    python, node = engine.connect(version="0.20.0"), engine.connect(runtime="node", version="0.22.1")
    python.provide("py")
    node.provide("js")
    owner = engine.connect()
    for type_id in ("py", "js"):
        owner.bind(f"text-{type_id}", type_id, "a::b", metadata="text")
        owner.bind(f"object-{type_id}", type_id, "a::b", metadata={"k": 1})
    assert [message.get("metadata") for message in python.heard("registertrigger")] == [None, {"k": 1}]
    assert [message.get("metadata") for message in node.heard("registertrigger")] == ["text", {"k": 1}]
