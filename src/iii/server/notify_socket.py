"""The socket of a service manager, such as systemd: short texts go there, none comes back (24 §1)."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping

ADDRESS = "NOTIFY_SOCKET"


class NotifySocket:
    """Of a service manager. Raises OSError if the address is not one of a Unix socket."""

    def __init__(self, address: str) -> None:
        if address.startswith("@"):
            self._address = f"\0{address[1:]}"  # Linux: a name outside the file system
        elif address.startswith("/"):
            self._address = address
        else:
            raise OSError("neither a path nor an abstract name (@…)")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> NotifySocket | None:
        """The one that the environment names, which loses that name: commands that the engine runs are no services.

        None: there is no service manager. Raises OSError.
        """
        address = environment.pop(ADDRESS, "")
        return cls(address) if address else None

    def send(self, *lines: str) -> None:
        """Send it now or not at all: nothing waits for a service manager. Raises OSError."""
        self._socket.sendto("\n".join(lines).encode(), self._address)

    def close(self) -> None:
        self._socket.close()
