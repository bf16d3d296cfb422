"""A connection that waits to be let in: nothing of what it says is looked at before (20 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from iii.engine.access.admission import Approach
from iii.protocol.close_codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.access.admission import Admission, Login
    from iii.engine.access.guard import Access
    from iii.net.connection import Connection
    from iii.net.http_head import RequestHead
    from iii.net.outbox import Outbox
    from iii.protocol.errors import InvocationError


class AdmissionDoor:
    """Of one connection."""

    __slots__ = ("_admission", "_login", "_request", "client")

    def __init__(self, admission: Admission, request: RequestHead, client: str | None = None) -> None:
        """`client`: its address, where a proxy tells that."""
        self._admission = admission
        self.client = client
        self._request = request
        self._login: Login | None = None

    def knock(self, connection: Connection[Outbox], admitted: Callable[[Access], None]) -> None:
        """Say who it is. `admitted` is called when it is let in, perhaps within; else the connection is closed."""
        request = self._request
        client = self.client or connection.ip_address
        approach = Approach(request.lines, request.query, client, request.certified)
        connection.inbox.pause()

        def decided(access: Access | None, error: InvocationError | None) -> None:
            self._login = None
            if access is not None:
                admitted(access)
                connection.inbox.resume()
            elif error is not None:
                refusal = {"type": "error", "error": Raw(error.encode())}
                connection.outbox.send(msgspec.json.encode(refusal), True)
                connection.close(CloseCode.AUTH_ERROR, "AUTH_ERROR")

        login = self._admission.admit(approach, decided)
        if login.pending:
            self._login = login

    def leave(self) -> None:
        """The connection is gone."""
        if self._login is not None:
            self._login.withdraw()
            self._login = None
