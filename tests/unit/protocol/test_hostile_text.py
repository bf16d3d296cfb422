"""What a large text costs the engine must not depend on what is in it: quadratic time would stop everybody's calls."""

import pytest

from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.limits import MIB
from tests.machine import cpu_within

LIMIT_S = 2.0  # linear time takes some 0.05 s; quadratic time takes minutes


@pytest.mark.parametrize(
    "piece",
    [
        b"x",
        b'"',
        b"\\",
        b'"\\',
        b'\\"',
        b"[}",
        b"][",
        b"{}",
        b"[",
        b'{"a":',
        b"-",
        b"N",
        b"-I",
        b"\\ud800",
        b"\\u",
        b" ",
    ],
)
@pytest.mark.parametrize(
    "start", [b'{"type":"ping","x":"', b'{"type":"ping","x":NaN,"y":"', b'{"type":"ping","x":NaN,']
)
def test_hostile_text_is_judged_in_linear_time(start: bytes, piece: bytes) -> None:
    text = start + piece * (MIB // len(piece))
    with cpu_within(LIMIT_S):
        for end in (b"", b'"}', b"}"):
            try:
                worker_message_decoder().decode(text + end)
            except Undecodable:
                continue
