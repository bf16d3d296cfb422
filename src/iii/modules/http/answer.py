"""A whole response."""

from typing import NamedTuple

from iii.modules.http.headers import Headers


class Answer(NamedTuple):
    """Names of headers are in lower case; the length of the body is the server's to say.

    Attributes:
        preflight: it is complete: what every response has does not belong to it.
    """

    status: int
    headers: Headers
    body: bytes | bytearray
    preflight: bool = False
