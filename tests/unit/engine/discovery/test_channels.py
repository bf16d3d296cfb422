"""`engine::channels::create` (02 §5.1, check 44; 07 §2.1)."""

import uuid
from typing import Any

import pytest

from iii.testing import MemoryEngine

CREATE = "engine::channels::create"


@pytest.mark.parametrize("data", [{}, {"buffer_size": None}, {"buffer_size": 0}, {"buffer_size": 2048, "x": 1}])
def test_02_check_44_both_ends_share_id_and_key(engine: MemoryEngine, data: dict[str, Any]) -> None:
    """07 checks 1, 2."""
    ends = engine.connect().result_of(CREATE, data)

    assert list(ends) == ["writer", "reader"]
    writer, reader = ends["writer"], ends["reader"]
    assert (writer.pop("direction"), reader.pop("direction")) == ("write", "read")
    assert writer == reader
    assert uuid.UUID(writer["channel_id"]).version == uuid.UUID(writer["access_key"]).version == 4
    assert writer["channel_id"] != writer["access_key"]


@pytest.mark.parametrize("size", [-1, 4.0, 1.5, "64", True])
def test_02_check_44_a_size_that_is_none_is_refused(engine: MemoryEngine, size: Any) -> None:
    """07 check 2."""
    error = engine.connect().call(CREATE, {"buffer_size": size})["error"]

    assert error["code"] == "deserialization_error"
    assert error["message"].startswith(f"Failed to deserialize input for {CREATE}: ")


def test_channels_differ(engine: MemoryEngine) -> None:
    caller = engine.connect()

    assert caller.result_of(CREATE) != caller.result_of(CREATE)
