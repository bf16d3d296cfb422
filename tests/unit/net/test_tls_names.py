"""Who a client is, by its certificate (22 §4)."""

from typing import Any

import pytest

from iii.net.tls_names import certified_names


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        ({"subjectAltName": (("URI", "spiffe://acme/orders"), ("DNS", "orders"), ("email", "a@b"))}, ("spiffe://acme/orders", "orders")),
        ({"subject": ((("commonName", "orders"),),)}, ("orders",)),
        ({"subject": ((("commonName", "orders"),),), "subjectAltName": (("DNS", "other"),)}, ("other",)),
        ({"subject": ((("commonName", "orders"),),), "subjectAltName": (("email", "a@b"),)}, ("orders",)),
        ({"subject": ((("commonName", "one"),), (("commonName", "two"),))}, ()),
        ({"subject": ((("organizationName", "acme"),),)}, ()),
        ({}, ()),
    ],
)  # fmt: skip
def test_22_4_alternative_names_else_the_common_name(certificate: dict[str, Any], names: tuple[str, ...]) -> None:
    assert certified_names(certificate) == names
