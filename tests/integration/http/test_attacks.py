"""What hostile clients send to the HTTP port (issue 4, attacks)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.http.conftest import DEADLINE_S, Site
from tests.integration.server.conftest import until
from tests.integration.server.raw_socket import RawSocket


async def hello(request: Any) -> Any:
    return {"body": request["path_params"]}


async def answers(site: Site, sent: bytes) -> list[str]:
    """First lines of everything that comes back until the connection ends."""
    async with await site.raw(sent) as client:
        text = (await client.ended()).decode("latin-1")
        return [line for line in text.split("\r\n") if line.startswith("HTTP/1.1")]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\nhello!",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX-A: b\x00c\r\n\r\n",
        b"GET /a HTTP/9.9\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_smuggling_shapes_are_one_refused_request_and_the_end_of_the_connection(site: Site, sent: bytes) -> None:
    await site.route("POST /a", hello)
    await site.route("GET /a", hello)
    await site.route("GET /evil", hello)
    first_lines = await answers(site, sent)
    assert len(first_lines) <= 1
    assert all(line.startswith(("HTTP/1.1 400", "HTTP/1.1 505")) for line in first_lines), first_lines


@pytest.mark.parametrize("order", [1, -1])
async def test_content_length_beside_chunks_is_one_request_and_the_end_of_the_connection(
    site: Site, order: int
) -> None:
    """RFC 9112 §6.1: the chunks count, and whatever another one takes for a second request is never read."""
    called: list[str] = []

    async def evil(request: Any) -> Any:
        called.append("evil")

    await site.route("POST /a", hello)
    await site.route("GET /evil", evil)
    both = b"".join([b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"][::order])
    sent = b"POST /a HTTP/1.1\r\nHost: h\r\n" + both + b"\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
    assert len(await answers(site, sent)) == 1
    assert called == []


async def test_a_bad_chunk_ends_the_connection_and_never_looks_like_a_whole_body(site: Site) -> None:
    await site.route("POST /a", hello)
    sent = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n"
    first_lines = await answers(site, sent)
    assert not any(" 200 " in line for line in first_lines), first_lines


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/files/%2e%2e%2fetc%2fpasswd", {"name": "%2e%2e%2fetc%2fpasswd"}),
        ("/files/..%2f..", {"name": "..%2f.."}),
        ("/files/..", {"name": ".."}),
        ("/files/a%00b", {"name": "a%00b"}),
    ],
)
async def test_nothing_in_a_path_is_decoded_or_resolved(site: Site, path: str, params: dict[str, str]) -> None:
    await site.route("GET /files/:name", hello)
    async with await site.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
        status, _, text = await client.answer()
        assert status == 200
        assert params["name"] in text


@pytest.mark.parametrize("path", ["/files/../secret", "/files/a/../../secret", "//files/a"])
async def test_traversal_matches_no_other_route(site: Site, path: str) -> None:
    await site.route("GET /files/:name", hello)
    await site.route("GET /secret", hello)
    async with await site.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
        assert (await client.answer())[0] == 404


async def test_heads_are_limited(site: Site) -> None:
    await site.route("GET /a", hello)
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(150))
    large = b"X-A: " + b"a" * 1_000_000 + b"\r\n"
    target = b"/" + b"a" * 70_000
    assert (await answers(site, b"GET /a HTTP/1.1\r\nHost: h\r\n" + many + b"\r\n"))[0].startswith("HTTP/1.1 431")
    assert (await answers(site, b"GET /a HTTP/1.1\r\nHost: h\r\n" + large + b"\r\n"))[0].startswith("HTTP/1.1 431")
    assert (await answers(site, b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n"))[0].startswith("HTTP/1.1 414")


async def test_03_A1_other_methods_old_versions_and_targets(site: Site) -> None:
    await site.route("GET /a", hello)
    for sent, status in (
        (b"GET /a HTTP/1.0\r\n\r\n", "200"),
        (b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", "200"),
        (b"TRACE /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405"),
        (b"BREW /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200"),
        (b"GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200"),
    ):
        async with await site.raw(sent) as client:
            assert (await client.head()).split()[1] == status, sent


async def test_03_A1_expect_100_continue(site: Site) -> None:
    async def body(request: Any) -> Any:
        return {"body": request["body"]}

    await site.route("POST /a", body)
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with await site.raw(head) as client:
        assert (await client.head()).startswith("HTTP/1.1 100 ")
        client.write(b"{}")
        assert (await client.answer())[2] == "{}"


async def test_a_thousand_unfinished_heads_keep_nobody_out(site: Site) -> None:
    await site.route("GET /a", hello)
    slow = await asyncio.gather(*(RawSocket.connect(site.http.port) for _ in range(1000)))
    for each in slow:
        each.write(b"GET /a HTTP/1.1\r\nHo")
    for _ in range(20):
        assert (await site.get("/a"))[0] == 200
    for each in slow:
        each.drop()


async def test_a_thousand_unfinished_bodies_keep_nobody_out(site: Site) -> None:
    """They wait for their turn's end inside `default_timeout`; JSON bodies take no slot from streamed ones."""
    await site.route("POST /a", hello)
    await site.route("GET /a", hello)
    slow = await asyncio.gather(*(RawSocket.connect(site.http.port) for _ in range(500)))
    for each in slow:
        each.write(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: len(site.http.application._at_work) == 500)
    async with asyncio.timeout(DEADLINE_S):
        assert (await site.get("/a"))[0] == 200
    for each in slow:
        each.drop()
    await until(lambda: not site.http.application._at_work)
