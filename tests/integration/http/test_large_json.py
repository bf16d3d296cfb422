"""JSON of many MiB is read by another process, and comes out as small JSON does (http, issue 12 kind 2)."""

import io
import json
from typing import Any

import pytest

from iii.modules.http.json_body import LARGE_BYTES
from tests.integration.http.site import Site

LARGE = "é" * LARGE_BYTES
HEADERS = {"content-type": "application/json"}


async def test_a_large_body_reaches_the_handler(site: Site) -> None:
    seen: list[Any] = []

    async def handler(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["body"])
        return {"status_code": 201, "body": {"size": len(request["body"]["text"])}}

    await site.route("POST /large", handler)
    async with site.browser.post(
        f"{site.url}/large", data=io.BytesIO(json.dumps({"text": LARGE}).encode()), headers=HEADERS
    ) as response:
        assert (response.status, await response.json()) == (201, {"size": len(LARGE)})
    assert seen == [{"text": LARGE}]


@pytest.mark.parametrize(
    "body",
    [b"[" * LARGE_BYTES * 2, b'["' + b"x" * LARGE_BYTES * 2, b"[NaN," + b"1," * LARGE_BYTES + b"1]", b'"\xff' + b"x" * LARGE_BYTES + b'"'],
    ids=["deep", "cut", "NaN", "no UTF-8"],
)  # fmt: skip
async def test_a_large_body_that_is_no_json_is_null(body: bytes, site: Site) -> None:
    """03 §A5.1, as a small one."""
    seen: list[Any] = []

    async def handler(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["body"])
        return {"body": "seen"}

    await site.route("POST /broken", handler)
    async with site.browser.post(f"{site.url}/broken", data=io.BytesIO(body), headers=HEADERS) as response:
        assert (response.status, await response.json()) == (200, "seen")
    assert seen == [None]


@pytest.mark.parametrize(
    ("result", "status", "kind", "body"),
    [
        ({"body": LARGE}, 200, "application/json", json.dumps(LARGE, ensure_ascii=False).encode()),
        ({"statusCode": 418, "headers": {"content-type": "text/plain", "x-a": "b"}, "body": LARGE}, 418, "text/plain", LARGE.encode()),
        ({"status_code": 99, "body": [LARGE] * 3}, 200, "application/json", None),
    ],
    ids=["text", "typed", "pieces"],
)  # fmt: skip
async def test_a_large_result_is_the_response(
    result: Any, status: int, kind: str, body: bytes | None, site: Site
) -> None:
    async def handler(request: dict[str, Any]) -> Any:
        return result

    await site.route("GET /result", handler)
    for method in ("GET", "HEAD"):
        async with site.browser.request(method, f"{site.url}/result") as response:
            content = await response.read()
            assert (response.status, response.content_type) == (status, kind)
            if method == "GET":
                assert content == (
                    body
                    if body is not None
                    else json.dumps([LARGE] * 3, ensure_ascii=False, separators=(",", ":")).encode()
                )
                assert response.headers["content-length"] == str(len(content))
            else:
                assert content == b""


async def test_a_large_result_with_a_status_that_http_has_not(site: Site) -> None:
    async def handler(request: dict[str, Any]) -> Any:
        return {"status_code": 100, "body": LARGE}

    await site.route("GET /early", handler)
    async with site.browser.get(f"{site.url}/early") as response:
        assert response.status == 500
