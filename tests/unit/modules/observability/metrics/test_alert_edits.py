"""Rules of alerts are changed in an entry that may have secrets (16 §6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.modules.observability.metrics.alert_edits import secret_in


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
