"""Certificates of the configuration (22 §4)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.access.roles import ROLES
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import CertificateConfig
from iii.server.certificates import ListenerCertificates


def known(*entries: tuple[str, str], **members: Any) -> ListenerCertificates:
    return ListenerCertificates(
        [CertificateConfig(name=name, subject=subject, **members) for name, subject in entries], "here"
    )


@pytest.mark.parametrize(
    ("subject", "names", "fits"),
    [
        ("orders", ("orders",), True),
        ("orders", ("x", "orders"), True),
        ("orders", ("orders.example",), False),
        ("*.example", ("orders.example",), False),  # outside `match` it means itself
        ("*.example", ("*.example",), True),
        ('match("spiffe://acme/*")', ("spiffe://acme/orders",), True),
        ('match("spiffe://acme/*")', ("spiffe://acme.evil/orders",), False),
        ("orders", (), False),
    ],
)
def test_22_4_a_subject_is_a_name_or_a_pattern(subject: str, names: tuple[str, ...], fits: bool) -> None:
    assert (known(("some", subject)).find(names) is not None) is fits


def test_22_4_the_first_entry_that_fits_decides() -> None:
    found = known(("one", 'match("*")'), ("two", "orders")).find(("orders",))
    assert found is not None
    assert (found.who, found.identity) == ("one", "here\0certificate\0one")


def test_22_4_rights_are_those_of_tokens() -> None:
    found = known(("one", "orders"), allow=("observer",)).find(("orders",))
    assert found is not None
    assert {each.pattern for each in found.exposed} == {each.pattern for each in ROLES["observer"].filters}


@pytest.mark.parametrize(
    ("entries", "members", "text", "key"),
    [
        ((("a", "x"), ("a", "y")), {}, "two certificates are called 'a'", ("rbac", "certificates", 1, "name")),
        ((("a", "x"),), {"allow": ("wrker",)}, "certificate 'a': allow: ", ("rbac", "certificates", 0, "allow", 0)),
    ],
)
def test_22_4_an_entry_that_makes_no_sense_stops_the_start(
    entries: tuple[tuple[str, str], ...], members: dict[str, Any], text: str, key: tuple[object, ...]
) -> None:
    with pytest.raises(StartFailure) as failed:
        known(*entries, **members)
    assert text in str(failed.value)
    assert failed.value.key == key
