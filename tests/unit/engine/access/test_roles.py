"""What the ready-made rights of tokens never have (20 §2)."""

import pytest

from iii.engine.access.decision import refusal
from iii.engine.access.rights import Rights
from iii.engine.access.roles import ROLES
from iii.engine.access.rules import ListenerRules

RULES = ListenerRules(listener="l", exposed=())
SECRETS = ("configuration::get", "configuration::set", "configuration::register", "configuration::delete")


@pytest.mark.parametrize("role", ["observer", "worker", "operator"])
@pytest.mark.parametrize("function_id", SECRETS)
def test_20_2_only_an_admin_reads_and_writes_configuration(role: str, function_id: str) -> None:
    """An entry may show every variable of the engine, and name functions that the engine calls."""
    assert refusal(RULES, Rights(exposed=ROLES[role].filters), function_id, None, None) is not None
    assert refusal(RULES, Rights(exposed=ROLES["admin"].filters), function_id, None, None) is None


def test_20_2_an_operator_sees_which_entries_there_are() -> None:
    rights = Rights(exposed=ROLES["operator"].filters)
    assert refusal(RULES, rights, "configuration::list", None, None) is None
    assert refusal(RULES, rights, "engine::workers::drain", None, None) is None


@pytest.mark.parametrize(
    "function_id", ["engine::workers::drain", "engine::queue::purge", "state::set", "engine::logs::clear"]
)
def test_20_2_an_observer_changes_nothing(function_id: str) -> None:
    assert refusal(RULES, Rights(exposed=ROLES["observer"].filters), function_id, None, None) is not None
