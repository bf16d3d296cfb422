"""The pages, and what lets them be nothing but pages of the console (23 checks 1, 2, 26)."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from tests.integration.console.consoles import Browser, Place


@pytest.mark.parametrize("path", ["/", "/workers", "/assets/unknown", "/../../etc/passwd", "/%2e%2e/config.py"])
async def test_23_check_1_every_path_of_a_page_is_the_page(browser: Browser, place: Place, path: str) -> None:
    answer = await browser.get(path)

    assert f"Console available at {place.console}" in place.engine.log()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"window.__CONSOLE_CONFIG__=" in answer.body


async def test_23_check_2_what_pages_are_told(browser: Browser, place: Place) -> None:
    body = (await browser.get("/api/config")).body

    assert body.keys() == {"basePath", "engineHost", "enginePort", "wsPort", "consolePort", "version", "enableFlow"}
    assert body["engineHost"] == "127.0.0.1"
    assert (body["enginePort"], body["wsPort"]) == (place.http, place.stream)
    assert place.console.endswith(f":{body['consolePort']}")
    assert body["enableFlow"] is False


async def test_23_check_26_the_policy_lets_in_nothing_else(browser: Browser) -> None:
    answer = await browser.get("/")
    policy = answer.headers["Content-Security-Policy"]
    script = re.search(rb"<script>(.*?)</script>", answer.body)

    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1]).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(script[1].split(b"=", 1)[1].rstrip(b";"))["basePath"] == "/"


async def test_23_3_a_name_that_is_not_the_consoles_is_refused(browser: Browser) -> None:
    """Also one that an attacker's name server points at this machine."""
    for path in ("/", "/api/config", "/api/v1/session", "/api/engine/_console/workers"):
        answer = await browser.get(path, Host="rebound.example:3113")
        assert (answer.status, answer.body["code"]) == (403, "FOREIGN_HOST"), path
        assert "workers" not in answer.body


async def test_23_3_names_of_this_machine_are_the_consoles(browser: Browser) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:3113", "console.localhost:3113"):
        assert (await browser.get("/api/config", Host=host)).status == 200, host


async def test_23_3_pages_of_other_sites_are_refused(browser: Browser) -> None:
    asked = {"function_id": "state::set", "payload": {"scope": "stolen", "key": "k", "value": 1}}
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = await browser.post("/api/v1/call", asked, **headers)
        assert (answer.status, answer.body["code"]) == (403, "FOREIGN_ORIGIN"), headers
    assert await browser.ask("state::get", {"scope": "stolen", "key": "k"}) is None


async def test_a_form_of_another_site_cannot_be_a_call(browser: Browser) -> None:
    """What browsers send without asking first is not JSON."""
    answer = await browser.post("/api/v1/call", {"function_id": "math::add"}, **{"Content-Type": "text/plain"})

    assert (answer.status, answer.body["code"]) == (415, "NOT_JSON")


async def test_nothing_is_changed_by_a_get(browser: Browser) -> None:
    for path in (
        "/api/v1/call",
        "/api/v1/login",
        "/api/engine/_console/invoke",
        "/api/engine/_console/dlq/work/redrive",
    ):
        answer = await browser.get(path)
        assert answer.headers["Content-Type"].startswith("text/html") or answer.status in (404, 405), path


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/ask", {"function_id": "state::set"}, 400),
        ("/api/v1/ask", {}, 400),
        ("/api/v1/call", {"function_id": ""}, 400),
        ("/api/v1/call", {"function_id": "f", "timeout_ms": 0}, 400),
        ("/api/v1/call", {"function_id": "f", "unknown": 1}, 400),
        ("/api/v1/login", {"password": "x"}, 400),
    ],
)
async def test_wrong_input_is_refused_with_a_reason(browser: Browser, path: str, body: object, status: int) -> None:
    answer = await browser.post(path, body)

    assert answer.status == status
    assert answer.body["error"]


async def test_a_body_beyond_the_limit_is_refused(browser: Browser) -> None:
    answer = await browser.post("/api/v1/call", {"function_id": "f", "payload": "x" * (11 * 1024 * 1024)})

    assert answer.status == 400
    assert "exceeds the limit" in answer.body["error"]
