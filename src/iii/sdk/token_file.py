"""Handshake headers with a token from a file, which may change while the worker lives (08 §4.9)."""

import os
from collections.abc import Iterator, Mapping

_READ_CHARACTERS = 4098


class TokenFileHeaders(Mapping[str, str]):
    """Headers, and `Authorization` with the token that the file has now; while it has none, with the last one.

    Raises:
        ValueError: it has none from the beginning.
    """

    def __init__(self, headers: Mapping[str, str], path: str, said_by: str = "III_TOKEN_FILE") -> None:
        self._headers = dict(headers)
        self._path = os.path.expanduser(path)
        try:
            self._token = _read(self._path)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "it is not text of one line"
            raise ValueError(f"{said_by}: cannot read {self._path}: {reason}") from None
        if not self._token:
            raise ValueError(f"{said_by}: {self._path} is empty; write the token into it")

    def __getitem__(self, name: str) -> str:
        if name != "Authorization":
            return self._headers[name]
        try:
            self._token = _read(self._path) or self._token
        except (OSError, ValueError):  # being replaced, or gone: the engine will say what it thinks of the old one
            pass
        return f"Bearer {self._token}"

    def __iter__(self) -> Iterator[str]:
        return iter((*self._headers, "Authorization"))

    def __len__(self) -> int:
        return len(self._headers) + 1


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return one_line(file.read(_READ_CHARACTERS).strip())


def one_line(token: str) -> str:
    """The token, which becomes a line of the request: what follows a line break would be further headers. Raises ValueError."""
    if not token.isprintable():
        raise ValueError("more than one line")
    return token
