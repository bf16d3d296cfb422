"""How ports share the open files: stream clients never take all that workers need (01 §1.1)."""

import pytest

from iii.net import descriptors


@pytest.mark.parametrize(("limit", "own"), [(64, 41), (128, 60), (256, 70), (1024, 70), (100_000, 70)])
def test_a_port_with_a_share_waits_before_the_others_do(limit: int, own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    used = own
    monkeypatch.setattr(descriptors, "limit", lambda: limit)
    monkeypatch.setattr(descriptors, "_lowest_free", lambda descriptor: used + 1)
    assert descriptors.shortage() is None
    clients = 0
    while not descriptors.scarce(0, 0.75):
        used, clients = used + 1, clients + 1
    workers = 0
    while not descriptors.scarce(0):
        used, workers = used + 1, workers + 1
    assert clients >= 5
    assert workers >= 2
    assert clients <= 5 * workers
    assert used < limit - descriptors.http_connections()
