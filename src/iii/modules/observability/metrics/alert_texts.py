"""Rules of alerts as the configuration has them: lists show placeholders, not the secrets that they fill to (16 §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.modules.observability.shown_url import shown_url
from iii.protocol.errors import InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.engine import Engine

ENTRY = "iii-observability"
GET = "configuration::get"


class RawSettings(Struct):
    """What `configuration::get` answers."""

    value: Any = None


def ask_for_rules(engine: Engine, told: Callable[[list[Any] | None], None]) -> None:
    """The rules with their placeholders, perhaps at once. None: no configuration has them."""

    def answered(result: bytes | None, error: InvocationError | None) -> None:
        settings = None if error is not None else msgspec.json.decode(result or b"{}", type=RawSettings).value
        rules = settings.get("alerts") if isinstance(settings, dict) else None
        told(rules if isinstance(rules, list) else None if error is not None else [])

    payload = msgspec.json.encode({"id": ENTRY, "raw": True})
    engine.router.call(GET, DEFAULT_NAMESPACE, Raw(payload), answered)


def needs_texts(row: dict[str, Any]) -> bool:
    """Whether a rule has what may be a secret."""
    return "url" in row["action"] or "path" in row["action"]


def with_texts(row: dict[str, Any], written: list[Any]) -> dict[str, Any]:
    """The rule with the texts of its action as they are written; of one that is not found, the host of its URL."""
    rule = rule_named(written, row["name"])
    texts = rule.get("action") if rule is not None else None
    action = dict(row["action"])
    if isinstance(texts, dict):
        action |= {key: texts[key] for key in ("url", "path") if key in action and "${" in str(texts.get(key))}
    elif "url" in action:
        action["url"] = shown_url(action["url"])
    return {**row, "action": action}


def rule_named(rules: list[Any], name: str) -> dict[str, Any] | None:
    return next((each for each in rules if isinstance(each, dict) and each.get("name") == name), None)
