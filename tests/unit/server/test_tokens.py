"""Tokens of the configuration (20 §2)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from iii.engine.access.decision import refusal
from iii.engine.access.pattern import NO_PATTERNS, Patterns
from iii.engine.access.rights import Rights
from iii.engine.access.roles import WORKERS_TRIGGER_TYPES
from iii.engine.access.rules import ListenerRules
from iii.protocol.access_token import fault_of_token, hash_of, is_hash, new_token
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import TokenConfig
from iii.server.grants import rights_of
from iii.server.tokens import ListenerTokens

TOKEN = "iii_" + "a" * 40
RULES = ListenerRules(listener="rbac", exposed=())


def rights(**members: Any) -> Rights:
    return rights_of(TokenConfig(name="t", hash=hash_of(TOKEN), **members), "rbac")


def may(found: Rights, function_id: str, namespace: str | None = None) -> bool:
    return refusal(RULES, found, function_id, namespace, b"null") is None


def test_20_2_a_new_token_is_one() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert [fault_of_token(each) for each in tokens] == [None] * 100
    assert is_hash(hash_of(TOKEN))
    assert TOKEN not in hash_of(TOKEN)


def test_20_8_the_remedy_names_the_token() -> None:
    """Not `expose_functions`, which would let all others call it too."""
    found = rights(allow=("worker",))

    assert refusal(RULES, found, "app::f", None, b"null") == (
        "function 'app::f' not allowed (add to `allow` of token 't')"
    )


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("short", "24 characters or more"),
        ("x" * 5000, "at most 4096"),
        ("a b" * 20, "without blanks"),
        ("é" * 40, "ASCII"),
    ],
)
def test_20_2_what_is_not_a_token(token: str, fault: str) -> None:
    told = fault_of_token(token) or ""

    assert fault in told
    assert token not in told


def test_20_2_each_way_to_give_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_TOKEN", f" {TOKEN}e ")
    (tmp_path / "token").write_text(f"{TOKEN}f\n")
    tokens = ListenerTokens(
        (
            TokenConfig(name="by hash", hash=hash_of(f"{TOKEN}h")),
            TokenConfig(name="by environment", token_env="CI_TOKEN"),
            TokenConfig(name="by file", token_file=str(tmp_path / "token")),
        ),
        "rbac",
    )

    found = [tokens.find(f"{TOKEN}{each}") for each in "hefx"]
    assert [each and each.who for each in found] == ["by hash", "by environment", "by file", None]
    assert tokens.find(hash_of(f"{TOKEN}h")) is None
    assert tokens.find("\ud800") is None


def test_20_2_a_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    tokens = ListenerTokens((TokenConfig(name="t", token_file=str(file)),), "rbac")
    file.write_text(f"{TOKEN}2")

    assert (tokens.find(TOKEN), tokens.find(f"{TOKEN}2") is not None) == (None, True)
    file.write_text("too short")
    assert tokens.find(f"{TOKEN}2") is None
    assert tokens.find("too short") is None
    os.remove(file)
    assert tokens.find("") is None
    assert "too short" not in caplog.text
    file.write_text(TOKEN)
    assert tokens.find(TOKEN) is not None


@pytest.mark.parametrize(
    ("members", "told", "key"),
    [
        ({}, "give one of token_env, token_file and hash, got none", ()),
        ({"hash": hash_of(TOKEN), "token_env": "X"}, "got token_env and hash", ("hash",)),
        ({"hash": "sha256:1"}, "64 hexadecimal digits", ("hash",)),
        ({"token_env": "NOT_SET"}, "NOT_SET: it is not set", ("token_env",)),
        ({"token_file": "/nix/da"}, "/nix/da: No such file", ("token_file",)),
        ({"hash": hash_of(TOKEN), "allow": ("workr",)}, "did you mean 'worker'", ("allow", 0)),
        ({"hash": hash_of(TOKEN), "see": ({},)}, "see: expected a 'match'", ("see", 0)),
        ({"hash": hash_of(TOKEN), "register": ("a::*",)}, "register: expected match", ("register", 0)),
        ({"hash": hash_of(TOKEN), "namespaces": (" ",)}, "a namespace is blank", ("namespaces", 0)),
    ],
)
def test_20_2_mistakes_stop_the_start(members: dict[str, Any], told: str, key: tuple[str | int, ...]) -> None:
    with pytest.raises(StartFailure, match=told) as failed:
        ListenerTokens((TokenConfig(name="t", **members),), "rbac")

    assert failed.value.key == ("rbac", "tokens", 0, *key)


def test_20_2_two_tokens_of_one_name() -> None:
    with pytest.raises(StartFailure, match="two tokens are called 't'"):
        ListenerTokens((TokenConfig(name="t", hash=hash_of(TOKEN)),) * 2, "rbac")


def test_20_2_observer() -> None:
    observer = rights(allow=("observer",))

    assert may(observer, "engine::functions::list")
    assert may(observer, "engine::logs::list", "orders")
    assert not any(
        may(observer, each) for each in ("engine::workers::drain", "state::get", "orders::f", "engine::logs::clear")
    )
    assert (observer.registers, observer.trigger_types, observer.provides) == (NO_PATTERNS, frozenset(), False)
    assert observer.seen


def test_20_2_worker() -> None:
    worker = rights(allow=("worker", 'match("pay::*")', {"match": "x", "namespace": "other"}))

    assert all(may(worker, each) for each in ("state::set", "publish", "pay::f", "engine::invocations::cancel"))
    assert not any(
        may(worker, each)
        for each in ("engine::workers::drain", "iii::queue::redrive", "orders::f", "x", "engine::logs::list")
    )
    assert may(worker, "x", "other")
    assert (worker.registers, worker.trigger_types, worker.provides) == (None, WORKERS_TRIGGER_TYPES, False)
    assert not {"log", "trace"} & WORKERS_TRIGGER_TYPES
    assert (worker.may_declare("default"), worker.may_declare("orders"), worker.calls_urls) == (True, False, False)


def test_20_2_operator_and_admin() -> None:
    operator, admin = rights(allow=("operator",)), rights(allow=("admin",))

    assert all(
        may(operator, each) for each in ("engine::workers::drain", "iii::queue::redrive", "engine::queue::purge")
    )
    assert not any(may(operator, each) for each in ("state::set", "orders::f"))
    assert operator.registers == NO_PATTERNS
    assert may(admin, "any::thing", "anywhere")
    assert (admin.registers, admin.trigger_types, admin.provides, admin.calls_urls) == (None, None, True, True)
    assert admin.may_declare("anywhere")


def test_20_2_namespaces_are_what_a_token_is_about() -> None:
    found = rights(allow=("admin", 'match("a")'), namespaces=("orders",))

    assert may(found, "a", "orders")
    assert not may(found, "a")
    assert (found.may_declare("orders"), found.may_declare("default")) == (True, False)


def test_20_2_register_and_trigger_types() -> None:
    found = rights(register=('match("a::*")',), trigger_types=("cron",), prefix="p")

    assert (found.registers, found.trigger_types, found.prefix) == (Patterns(["a::*"]), frozenset({"cron"}), "p")
    assert rights(allow=("worker",), register=False).registers == NO_PATTERNS
    assert rights(register=True).registers is None


def test_20_2_a_named_pipe_is_no_token_file_and_is_not_waited_for(tmp_path: Path) -> None:
    """It is read by the event loop."""
    pipe = tmp_path / "token"
    os.mkfifo(pipe)

    with pytest.raises(StartFailure, match="not a regular file"):
        ListenerTokens((TokenConfig(name="t", token_file=str(pipe)),), "rbac")
