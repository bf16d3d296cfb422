"""One trace through everything: our client, the engine, a published Node client, a queue, and our client again (06 §3 rules 2 and 7)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import OURS, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

FLUSHED_S = 60.0
WAY = [  # from the root down; what clients add between is their own
    "call shop::order",
    "execute shop::order",
    "execute stock::reserve",
    "enqueue shop::mail → default",
    "fn_queue default",
    "execute shop::mail",
]


CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
  - name: iii-queue
    config: {adapter: {name: builtin, config: {store_method: in_memory}}}
"""


@pytest.fixture
def engine_with_queue(tmp_path: Path, environments: None) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "engine", config=CONFIG) as engine:
        yield engine


def names_above(spans: list[dict[str, Any]], name: str) -> list[str]:
    """The names of a span and of all above it, from the root; empty if there is none."""
    by_id = {span["span_id"]: span for span in spans}
    found = next((span for span in spans if span["name"] == name), None)
    names: list[str] = []
    while found is not None:
        names.insert(0, found["name"])
        found = by_id.get(found["parent_span_id"])
    return names


@pytest.mark.parametrize("client", parameters(Client("node", "0.22.1")))
def test_06_s3_rules_2_and_7_a_trace_over_python_node_and_a_queue_is_one_tree(
    client: Client, engine_with_queue: EngineProcess
) -> None:
    require(client)
    url = engine_with_queue.url
    with (
        Driver(OURS, telemetry_url=url) as ours,
        Driver(client, telemetry_url=url) as theirs,
        Driver(OURS) as watcher,
    ):
        watcher.connect(url, "watcher")
        ours.connect(url, "shop", otel={"enabled": True})
        ours.register("shop::order", "relay")
        ours.register("shop::mail", "echo")
        ours.discover("functions")
        theirs.connect(url, "stock", otel={"enabled": True})
        theirs.register("stock::reserve", "relay")
        theirs.discover("functions")

        mail = {"to": "shop::mail", "queue": "default", "payload": {"order": 7}}
        ours.call("shop::order", {"to": "stock::reserve", "payload": mail})
        ours.handled("shop::mail", order=7)

        def trees() -> list[dict[str, Any]]:
            request = {"search_all_spans": True, "include_internal": True, "name": "execute shop::mail"}
            spans = watcher.call("engine::traces::list", request)["spans"]
            (trace_id,) = {span["trace_id"] for span in spans} or {""}
            roots: list[dict[str, Any]] = watcher.call("engine::traces::tree", {"trace_id": trace_id})["roots"]
            return roots

        def whole() -> Any:
            roots = trees()
            way = names_above(list(_all(roots)), "execute shop::mail")
            return len(roots) == 1 and [name for name in way if name in WAY] == WAY

        assert eventually(whole, FLUSHED_S), trees()


def _all(nodes: list[dict[str, Any]]) -> Any:
    for node in nodes:
        yield node
        yield from _all(node["children"])
