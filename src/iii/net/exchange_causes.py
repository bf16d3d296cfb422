"""Why an HTTP exchange with somebody else failed, in our words: those of libraries quote the URL, with its secrets."""

import os

import aiohttp

_CAUSES: tuple[tuple[type[Exception], str], ...] = (  # the first that fits
    (aiohttp.ClientConnectorDNSError, "cannot connect: the host name does not resolve"),
    (aiohttp.ClientConnectorCertificateError, "cannot connect: the certificate is not valid for this host"),
    (aiohttp.ClientSSLError, "cannot connect: TLS failed"),
    (aiohttp.ClientConnectorError, "cannot connect"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before a response"),
    (aiohttp.ClientPayloadError, "the response ended early or its encoding is broken"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
    (aiohttp.InvalidURL, "the URL is not valid"),
    (aiohttp.ClientError, "the connection was lost"),
    (ValueError, "the request cannot be sent as HTTP"),
    (Exception, "the connection was lost"),
)


def cause_of(error: Exception) -> str:
    """With what the system says of a connection that it could not make."""
    kind, text = next(each for each in _CAUSES if isinstance(error, each[0]))
    number = getattr(getattr(error, "os_error", None), "errno", None)
    if kind is not aiohttp.ClientConnectorError or number is None or number <= 0:
        return text
    return f"{text}: {os.strerror(number).lower()}"
