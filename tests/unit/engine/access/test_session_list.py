"""`engine::access::sessions` (20 §11)."""

from __future__ import annotations

from iii.engine.access.pattern import Patterns
from iii.engine.access.roles import EVERYTHING, ROLES
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access, filters_of

LIST = "engine::access::sessions"
LISTING = f'match("{LIST}")'


async def test_20_check_46_each_session_with_what_it_may_do(engine: MemoryEngine) -> None:
    engine.connect(name="trusted")
    rights = access(
        'match("api::*")', who="billing", identity="rbac\0token\0billing", roles=("worker",),
        exposed=filters_of([{"metadata": {"public": True, "team": 'match("a*")'}, "namespace": "shop"}]),
        forbidden=Patterns(["api::secret"]), namespaces={"shop": Patterns(["x::*"]), "empty": Patterns()},
        registers=Patterns(["billing::*"]), trigger_types=frozenset({"http", "cron"}), provides=False, prefix="b",
    )  # fmt: skip
    engine.connect(name="bills", namespace="shop", access=rights)
    overseer = engine.connect(name="watch", access=access(LISTING, seen=(EVERYTHING,)))

    rows = {row["name"]: row for row in overseer.result_of(LIST)["sessions"]}

    assert rows.keys() == {"trusted", "bills", "watch"}
    assert rows["trusted"]["rights"] is None
    assert rows["bills"]["rights"] == {
        "listener": "rbac", "who": "billing", "entrance": "token", "roles": ["worker"],
        "allowed": [
            {"match": None, "metadata": {"public": True, "team": 'match("a*")'}, "namespace": "shop"},
            {"match": ["x::*"], "metadata": None, "namespace": "shop"},
        ],
        "exposed": [{"match": ["api::*"], "metadata": None, "namespace": "default"}], "forbidden": ["api::secret"],
        "namespaces": ["shop", "empty"], "registers": ["billing::*"], "trigger_types": ["cron", "http"],
        "registers_trigger_types": False, "calls_urls": False, "prefix": "b",
    }  # fmt: skip
    assert overseer.result_of(LIST, {"worker_id": rows["bills"]["worker_id"]})["total"] == 1


async def test_20_check_46_a_session_that_does_not_see_everything_sees_itself(engine: MemoryEngine) -> None:
    engine.connect(name="other")
    guest = engine.connect(name="guest", access=access('match("engine::*")', allowed=Patterns(["own::f"])))
    found = guest.result_of(LIST)
    assert ([row["name"] for row in found["sessions"]], found["total"]) == (["guest"], 1)
    assert {"match": ["own::f"], "metadata": None, "namespace": "default"} in found["sessions"][0]["rights"]["allowed"]


async def test_lists_of_any_length_are_cut_and_come_by_page(engine: MemoryEngine) -> None:
    many = Patterns([f"f{number}" * 100 for number in range(300)])
    for number in range(3):
        engine.connect(name=f"w{number}", access=access(LISTING, seen=(EVERYTHING,), forbidden=many))
    found = engine.connect(name="last").result_of(LIST, {"offset": 1, "limit": 2})
    assert ([row["name"] for row in found["sessions"]], found["total"]) == (["w1", "w2"], 4)
    forbidden = found["sessions"][0]["rights"]["forbidden"]
    assert (len(forbidden), max(map(len, forbidden)) <= 220) == (200, True)


def test_observers_and_operators_may_ask() -> None:
    for role in ("observer", "operator"):
        assert any(each.fits(LIST, "default", None) for each in ROLES[role].filters)
