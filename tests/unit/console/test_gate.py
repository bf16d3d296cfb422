"""Which requests are those of the console's own pages (23 §3)."""

from __future__ import annotations

import msgspec
import pytest

from iii.console.gate import ConsoleGate
from iii.console.refusal import Refusal

GATE = ConsoleGate(["127.0.0.1", "Console.example", "[fd00::1]"])


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Host": "127.0.0.1:3113"}),
        ("GET", {"Host": "10.1.2.3"}),
        ("GET", {"Host": "[fd00::2]:3113"}),
        ("GET", {"Host": "console.EXAMPLE:3113"}),
        ("GET", {"Host": "localhost", "Sec-Fetch-Site": "cross-site"}),
        ("POST", {"Host": "localhost:1"}),
        ("POST", {"Host": "localhost:1", "Origin": "http://localhost:1"}),
        ("POST", {"Host": "console.example", "Origin": "https://console.example", "Sec-Fetch-Site": "same-origin"}),
    ],
)
def test_own_requests_come_in(method: str, headers: dict[str, str]) -> None:
    GATE.check(method, headers)


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("GET", {}, "FOREIGN_HOST"),
        ("GET", {"Host": ""}, "FOREIGN_HOST"),
        ("GET", {"Host": "evil.example"}, "FOREIGN_HOST"),
        ("GET", {"Host": "localhost.evil.example"}, "FOREIGN_HOST"),
        ("GET", {"Host": "127.0.0.1.evil.example"}, "FOREIGN_HOST"),
        ("GET", {"Host": "a; script-src *"}, "FOREIGN_HOST"),
        ("GET", {"Host": "user@localhost"}, "FOREIGN_HOST"),
        ("GET", {"Host": "localhost", "Origin": "http://evil.example"}, "FOREIGN_ORIGIN"),
        ("POST", {"Host": "localhost:1", "Origin": "http://localhost:2"}, "FOREIGN_ORIGIN"),
        ("POST", {"Host": "localhost:1", "Origin": "null"}, "FOREIGN_ORIGIN"),
        ("POST", {"Host": "localhost:1", "Origin": "http://[half"}, "FOREIGN_ORIGIN"),
        ("POST", {"Host": "localhost:1", "Origin": "file://localhost:1"}, "FOREIGN_ORIGIN"),
        ("POST", {"Host": "localhost:1", "Origin": "http://\udcff"}, "FOREIGN_ORIGIN"),  # a byte that is no UTF-8
        ("DELETE", {"Host": "localhost:1", "Sec-Fetch-Site": "same-site"}, "FOREIGN_ORIGIN"),
    ],
)
def test_others_are_refused(method: str, headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        GATE.check(method, headers)
    assert refused.value.code == code
    assert msgspec.json.encode(refused.value.body())
