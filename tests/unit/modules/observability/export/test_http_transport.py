"""What is said of a port that does not speak HTTP (14 §3)."""

import socket
import threading
from collections.abc import Iterator

import pytest

from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.http_transport import HttpTransport
from iii.modules.observability.export.transport import SendFailed

HTTP_2_SETTINGS = b"\0\0\x18\4\0\0\0\0\0\0\4\0@\0\0\0\5\0@\0\0\0\6\0\0@\0\xfe\3\0\0\0\1\0\0\4\b\0\0\0\0\0\0"


@pytest.fixture
def port_for_grpc() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                request = b""
                while not request.endswith(b"{}"):  # what is not read when it closes would reset the connection
                    request += connection.recv(65_536)
                connection.sendall(HTTP_2_SETTINGS)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def test_14_a_port_for_grpc_is_told_apart(port_for_grpc: int) -> None:
    address = f"http://127.0.0.1:{port_for_grpc}/v1/logs"
    transport = HttpTransport(CollectorAddress("logs", "http/json", address, {}))
    with pytest.raises(SendFailed, match=r"does not answer in HTTP/1\.1; perhaps it is the one for gRPC") as failed:
        transport.send(b"{}")
    assert not failed.value.again
