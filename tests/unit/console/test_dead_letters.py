"""Dead letters by what they died of (23 §5)."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from iii.console.desk import Desk
from iii.console.lists.queues import letters_of, reason_of


class DyingMeanwhile:
    """A queue in which one more job dies before each page is read."""

    def __init__(self) -> None:
        self.ids = ["1"]

    async def read_as(self, kind: type[Any], function_id: str, asked: dict[str, Any]) -> Any:
        page = self.ids[asked["offset"] : asked["offset"] + asked["limit"]]
        if len(self.ids) < 4:
            self.ids.insert(0, str(len(self.ids) + 1))
        return msgspec.json.decode(msgspec.json.encode([{"id": each} for each in page]), type=kind)


async def test_what_dies_meanwhile_is_not_counted_twice() -> None:
    letters, complete = await letters_of(cast("Desk", DyingMeanwhile()), "work")

    ids = [letter.id for letter, _ in letters]
    assert len(ids) == len(set(ids))
    assert complete


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("invocation_failed: ValueError: no card 17", "invocation_failed: ValueError: no card …"),
        ('ErrorBody { code: "X", message: "bad \\"7\\"", stacktrace: None }', 'X: bad \\"…\\"'),
        ('{"code": "X", "message": "job 9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d gone"}', "X: job … gone"),
        ("first\nsecond", "first"),
        ("{no JSON", "{no JSON"),
        ("x" * 1000, "x" * 160),
    ],
)
def test_equal_causes_have_equal_reasons(error: str, reason: str) -> None:
    assert reason_of(error) == reason
