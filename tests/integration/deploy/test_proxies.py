"""deploy/proxies: nginx and Caddy run with their files in front of an engine; Traefik's file is read (24 §4)."""

import asyncio
import io
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
import yaml

import iii
from tests.integration.deploy import certificate
from tests.integration.deploy.certificate import Certificate
from tests.processes import EngineProcess, LineProcess, free_port

PROXIES = Path(__file__).parents[3] / "deploy" / "proxies"
WAIT_S = 60.0
MIB = 1024 * 1024
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-http, config: {port: HTTP, trust_proxy: true}}
  - {name: iii-stream, config: {port: STREAM}}
"""


class Site(NamedTuple):
    """An engine behind a proxy.

    Attributes:
        engine: reached without the proxy.
        name: host and port of the proxy.
    """

    engine: EngineProcess
    name: str
    certificate: Certificate


def replaced(text: str, *changes: tuple[str, object]) -> str:
    """Each of them must be there."""
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{old} is not in the file")
        text = text.replace(old, str(new))
    return text


class Ports(NamedTuple):
    """In place of those in the files."""

    proxy: int
    workers: int
    http: int
    streams: int

    def put_into(self, text: str) -> str:
        return replaced(text, (":49134", f":{self.workers}"), (":3111", f":{self.http}"), (":3112", f":{self.streams}"))


def nginx(folder: Path, ports: Ports, certificate: Certificate) -> list[str]:
    """The command; the files are as in deploy/, but for ports, names of files and the certificate."""
    (folder / "websocket.conf").write_text((PROXIES / "nginx-websocket.conf").read_text())
    site = replaced(
        ports.put_into((PROXIES / "nginx.conf").read_text()),
        ("listen 443 ssl", f"listen 127.0.0.1:{ports.proxy} ssl"),
        ("/etc/ssl/iii.example.com.pem", certificate.file),
        ("/etc/ssl/iii.example.com.key", certificate.key),
        ("/etc/nginx/iii-websocket.conf", folder / "websocket.conf"),
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr notice;\nworker_processes 1;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{\naccess_log off;\n{temporary}\n{site}\n}}\n")
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, ports: Ports, certificate: Certificate) -> list[str]:
    site = replaced(
        ports.put_into((PROXIES / "Caddyfile").read_text()),
        ("iii.example.com {", f"localhost:{ports.proxy} {{\n\ttls {certificate.file} {certificate.key}\n"),
    )
    head = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(head + site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


KINDS: dict[str, tuple[str, Callable[[Path, Ports, Certificate], list[str]], str]] = {
    "nginx": ("/usr/sbin/nginx", nginx, "start worker process "),
    "caddy": ("caddy", caddy, "serving initial configuration"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineProcess, Ports]]:
    ports = Ports(0, free_port(), free_port(), free_port())
    config = replaced(CONFIG, ("HTTP", ports.http), ("STREAM", ports.streams))
    with EngineProcess(tmp_path_factory.mktemp("engine"), port=ports.workers, config=config) as engine:
        yield engine, ports


@pytest.fixture(scope="module", params=KINDS)
def site(
    request: pytest.FixtureRequest, engine: tuple[EngineProcess, Ports], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    program, command, ready = KINDS[request.param]
    if shutil.which(program) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o755)
    made = certificate.made(folder)
    ports = engine[1]._replace(proxy=free_port())
    env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    process = LineProcess(command(folder, ports, made), env=env, stderr=-2)
    try:
        process.wait_for_line(ready)
        yield Site(engine[0], f"localhost:{ports.proxy}", made)
    finally:
        process.terminate()


@pytest_asyncio.fixture
async def worker(site: Site) -> AsyncIterator[iii.Worker]:
    """Beside the engine."""
    async with iii.connect_worker(site.engine.url) as worker:
        yield worker


@pytest_asyncio.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    trusting = ssl.create_default_context(cafile=str(site.certificate.file))
    connector = aiohttp.TCPConnector(ssl=trusting)
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    async with aiohttp.ClientSession(f"https://{site.name}", connector=connector, timeout=timeout) as client:
        yield client


async def known(client: aiohttp.ClientSession, path: str) -> None:
    """Wait until the route is there."""
    async with asyncio.timeout(WAIT_S):
        while (await client.head(path)).status in (404, 503):  # noqa: ASYNC110  # the engine has no event for it
            await asyncio.sleep(0.02)


async def test_24_4_a_worker_its_calls_and_its_channels_go_through_a_prefix(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(site.certificate.file))
    async with iii.connect_worker(f"wss://{site.name}/workers") as worker:

        @worker.function("behind::size")
        async def size(job: Any) -> int:
            return len(await job["numbers"].read_all())

        channel = await worker.create_channel_async()
        payload = {"numbers": channel.reader_ref}
        asked = asyncio.create_task(worker.trigger_async({"function_id": "behind::size", "payload": payload}))
        async with channel.writer as writer:
            for _ in range(20):
                await writer.write(bytes(100_000))
        assert await asked == 2_000_000


async def test_24_4_http_knows_the_client_and_takes_a_large_body(
    site: Site, worker: iii.Worker, client: aiohttp.ClientSession
) -> None:
    @worker.http("POST", "/size")
    async def size(request: iii.HttpRequest) -> dict[str, Any]:
        length = 0
        async for chunk in request.request_body:
            length += len(chunk)
        return {"length": length, "headers": request.headers}

    @worker.http("GET", "/there")
    async def there() -> None: ...

    await known(client, "/there")
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"}
    async with client.post("/size", data=io.BytesIO(bytes(30 * MIB)), headers=forged) as answer:
        got = await answer.json()
    assert (answer.status, got["length"]) == (200, 30 * MIB)
    assert got["headers"]["x-forwarded-for"] in ("127.0.0.1", "::1")
    assert got["headers"]["x-forwarded-proto"] == "https"
    assert got["headers"]["host"].partition(":")[0] == "localhost"


async def test_24_4_events_arrive_when_they_are_sent(
    site: Site, worker: iii.Worker, client: aiohttp.ClientSession
) -> None:
    go_on = asyncio.Event()

    @worker.http("GET", "/ticks")
    async def ticks(response: iii.StreamResponse) -> None:
        await response.send_event({"n": 1})
        async with asyncio.timeout(WAIT_S):
            await go_on.wait()
        await response.send_event({"n": 2})

    @worker.http("GET", "/there")
    async def there() -> None: ...

    await known(client, "/there")
    async with client.get("/ticks") as answer:
        first = await answer.content.readuntil(b"\n\n")
        go_on.set()  # the second one is sent only when the first one has arrived
        rest = await answer.read()
    assert (b'"n":1' in first.replace(b" ", b""), b'"n":2' in rest.replace(b" ", b"")) == (True, True)


async def test_24_4_stream_clients_get_events(site: Site, worker: iii.Worker, client: aiohttp.ClientSession) -> None:
    room = site.name.partition(":")[2]  # engines are shared
    await worker.stream("chat", room).set_async("m1", {"id": "m1"})
    async with client.ws_connect(f"/streams/stream/chat/{room}") as socket:
        assert (await socket.receive_json(timeout=WAIT_S))["event"]["type"] == "sync"
        await worker.stream("chat", room).set_async("m2", {"id": "m2"})
        assert (await socket.receive_json(timeout=WAIT_S))["event"]["type"] == "create"


async def test_24_4_what_only_resembles_a_prefix_is_a_route(client: aiohttp.ClientSession) -> None:
    for path in ("/workersx", "/streamsx"):
        async with client.get(path) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "NOT_FOUND")


def test_24_4_traefiks_file_names_what_it_has() -> None:
    http = yaml.safe_load((PROXIES / "traefik.yaml").read_text())["http"]
    ports = set()
    for router in http["routers"].values():
        assert router["service"] in http["services"]
        assert set(router.get("middlewares", ())) <= http["middlewares"].keys()
    for service in http["services"].values():
        balancer = service["loadBalancer"]
        assert balancer.get("serversTransport", "iii") in http["serversTransports"]
        ports |= {server["url"].rpartition(":")[2] for server in balancer["servers"]}
    assert ports == {"49134", "3111", "3112"}
    assert {router["service"] for router in http["routers"].values()} == http["services"].keys()
