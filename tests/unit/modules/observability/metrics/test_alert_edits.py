"""Rules of alerts are changed in an entry that may have secrets (16 §6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.modules.observability.metrics.alert_edits import secret_in
from iii.modules.observability.metrics.alert_texts import with_texts


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"service_name": "shop", "alerts": [{"name": "a"}]}, None),
        ({"exporters": [{"headers": {"authorization": "Bearer x"}}]}, "authorization"),
        ({"headers": {"api-key": "${KEY}"}}, None),
        ({"headers": {"api-key": ""}}, None),
        ("text", None),
    ],
)
def test_16_6_1_a_secret_is_not_written_to_the_disk(settings: Any, name: str | None) -> None:
    assert secret_in(settings) == name


@pytest.mark.parametrize(
    ("action", "written", "shown"),
    [
        ({"type": "webhook", "url": "https://h/s3cret"}, [{"name": "a", "action": {"type": "webhook", "url": "https://h/${T}"}}], "https://h/${T}"),
        ({"type": "webhook", "url": "https://h/x"}, [{"name": "a", "action": {"type": "webhook", "url": "https://h/x"}}], "https://h/x"),
        ({"type": "webhook", "url": "https://u:p@h/s3cret"}, ["${RULES}", {"name": "a", "action": "${ACTION}"}], "https://h"),
        ({"type": "webhook", "url": "https://h/s3cret"}, [], "https://h"),
    ],
)  # fmt: skip
def test_16_6_a_list_shows_placeholders_of_actions(action: Any, written: list[Any], shown: str) -> None:
    assert with_texts({"name": "a", "action": action}, written)["action"]["url"] == shown
