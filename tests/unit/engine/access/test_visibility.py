"""What lists show a session (20 §6)."""

from __future__ import annotations

import pytest

from iii.engine.access.pattern import Patterns
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, error_of, filters_of, ids_of

LISTS = ('match("engine::*")', 'match("api::*")')


@pytest.fixture
def guest(engine: MemoryEngine) -> MemoryWorker:
    app = engine.connect(name="app", functions=["api::a", "app::private"])
    app.provide("mail")
    app.provide("secret")
    app.bind("t-public", "mail", "api::a")
    app.bind("t-private", "mail", "app::private")
    app.bind("t-secret", "secret", "api::a")
    engine.connect(name="hidden", functions=["app::other"])
    return engine.connect(name="guest", functions=["own::f"], access=access(*LISTS, trigger_types=frozenset({"mail"})))


def test_07_check_27_functions(engine: MemoryEngine, guest: MemoryWorker) -> None:
    assert ids_of(guest.result_of("engine::functions::list")["functions"]) == {"api::a"}
    internal = ids_of(guest.result_of("engine::functions::list", {"include_internal": True})["functions"])
    assert {"engine::channels::create", "api::a"} <= internal
    assert not internal & {"app::private", "app::other", "own::f"}


def test_07_check_27_functions_that_one_session_may_call(engine: MemoryEngine, guest: MemoryWorker) -> None:
    listing = 'match("engine::functions::list")'
    allowed = engine.connect(access=access(listing, allowed=Patterns(["app::private"])))
    restricted = engine.connect(access=access(listing))

    assert ids_of(allowed.result_of("engine::functions::list")["functions"]) == {"app::private"}
    assert restricted.result_of("engine::functions::list")["functions"] == []


def test_20_6_a_description_of_what_is_hidden_is_forbidden(guest: MemoryWorker) -> None:
    info = "engine::functions::info"
    told = "Function '{}' is not visible to this session."

    assert error_of(guest, info, {"function_id": "app::private"}) == ("FORBIDDEN", told.format("app::private"))
    assert error_of(guest, info, {"function_id": "nix::da"}) == ("FORBIDDEN", told.format("nix::da"))
    batch = guest.result_of(info, {"function_ids": ["api::a", "app::private", "nix::da"]})["functions"]
    assert [(each["function_id"], each.get("error")) for each in batch] == [
        ("api::a", None), ("app::private", "forbidden"), ("nix::da", "not_found"),
    ]  # fmt: skip
    assert [each["id"] for each in batch[0]["registered_triggers"]] == ["t-public"]


def test_20_6_workers(guest: MemoryWorker) -> None:
    rows = {row["name"]: row for row in guest.result_of("engine::workers::list")["workers"]}

    assert set(rows) == {"app", "guest", "iii-engine-functions"}
    assert rows["app"]["functions"] == ["api::a"]
    assert error_of(guest, "engine::workers::info", {"name": "hidden"})[0] == "NOT_FOUND"
    detail = guest.result_of("engine::workers::info", {"name": "app"})
    assert ids_of(detail["functions"]) == {"api::a"}
    assert ids_of(detail["registered_triggers"], "id") == {"t-public"}
    assert ids_of(detail["trigger_types"], "id") == {"mail"}


def test_20_6_triggers(guest: MemoryWorker) -> None:
    rows = guest.result_of("engine::registered-triggers::list")["registered_triggers"]
    assert ids_of(rows, "id") == {"t-public"}
    assert error_of(guest, "engine::registered-triggers::info", {"id": "t-private"})[0] == "NOT_FOUND"
    instances = guest.result_of("engine::triggers::list", {"kind": "instances"})["triggers"]
    assert ids_of(instances, "id") == {"t-public"}


def test_20_6_trigger_types(guest: MemoryWorker) -> None:
    types = guest.result_of("engine::triggers::list", {"kind": "types"})["triggers"]
    assert ids_of(types, "id") == {"mail"}
    assert ids_of(guest.result_of("engine::trigger-types::list")["trigger_types"], "id") == {"mail"}
    assert guest.result_of("engine::triggers::info", {"id": "mail"})["instance_count"] == 1
    assert error_of(guest, "engine::triggers::info", {"id": "secret"})[0] == "NOT_FOUND"


def test_20_6_a_session_may_see_more_than_it_may_call(engine: MemoryEngine, guest: MemoryWorker) -> None:
    seen = filters_of(['match("app::*")'])
    observer = engine.connect(access=access(*LISTS, seen=seen, forbidden=Patterns(["app::other"])))

    assert ids_of(observer.result_of("engine::functions::list")["functions"]) == {"api::a", "app::private"}
    assert error_of(observer, "app::private")[0] == "FORBIDDEN"


def test_20_6_a_trusted_caller_sees_everything(engine: MemoryEngine, guest: MemoryWorker) -> None:
    listed = ids_of(engine.connect().result_of("engine::functions::list")["functions"])

    assert listed == {"api::a", "app::private", "app::other", "own::f"}
