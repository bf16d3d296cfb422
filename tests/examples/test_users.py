"""The HTTP example, as its first lines say to try it (issue 4): a program with `register_worker`, at a test engine."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from iii.testing import TestEngine

EXAMPLE = Path(__file__).parents[2] / "examples" / "users.py"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestEngine]:
    with TestEngine() as engine:
        monkeypatch.setenv("III_URL", engine.address)
        program = runpy.run_path(str(EXAMPLE))
        try:
            yield engine
        finally:
            program["worker"].shutdown()


def test_users_and_a_countdown_over_http(site: TestEngine, capsys: pytest.CaptureFixture[str]) -> None:
    created = site.request("POST", "/users", json={"name": "Ada"})
    assert (created.status, created.headers["location"], created.json()) == (201, "/users/1", {"id": 1, "name": "Ada"})
    assert capsys.readouterr().out == ""
    site.run_jobs()
    assert capsys.readouterr().out == "Welcome, Ada!\n"
    assert site.request("GET", "/users/1").text == '{"id":1,"name":"Ada"}'
    assert site.request("GET", "/users?name=Bob").text == "[]"
    assert site.request("GET", "/users/2").status == 404


def test_requests_that_do_not_fit_are_refused(site: TestEngine) -> None:
    refused = site.request("POST", "/users", json={"name": ""})
    assert (refused.status, refused.json()["error"]["code"]) == (400, "invalid_request")
    refused = site.request("GET", "/users", query={"limit": 1000})
    assert (refused.status, refused.json()["error"]["message"]) == (
        400,
        "query parameter 'limit': Expected `int` <= 100, got '1000' - at `$.query_params.limit`",
    )


def test_a_countdown_is_streamed(site: TestEngine) -> None:
    answer = site.request("GET", "/countdown", query={"start": 1})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.text == 'event: tick\ndata: {"left":1}\n\nevent: tick\ndata: {"left":0}\n\n'
