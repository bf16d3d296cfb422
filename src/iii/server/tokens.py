"""The tokens of a listener: found in constant time, files read again when they change (20 §2)."""

from __future__ import annotations

import hmac
import logging
import os
import stat
from collections.abc import Sequence
from os.path import expanduser
from typing import Any

from iii.engine.access.rights import Rights
from iii.net.opening import open_at_once
from iii.protocol.access_token import LONGEST, fault_of_token, hash_of, is_hash
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import TokenConfig
from iii.server.grants import rights_of

TOKEN_FILE_READ = LogEvent(
    __name__, "access.token_file_read", logging.INFO, "Token file has changed; new connections need the new token",
    means="Sessions that logged in with the old token go on until they disconnect.",
)  # fmt: skip
TOKEN_FILE_UNREADABLE = LogEvent(
    __name__, "access.token_file_unreadable", logging.ERROR, "Token file is unusable; its token lets in no one",
    means="The file of a token has gone, cannot be read, or has no token in it.",
    do="Correct the file that `token_file` names; it is read again at the next login.",
)  # fmt: skip

_READ_BYTES = LONGEST + 2
_NO_FILE = (0, 0, 0)


class ListenerTokens:
    """All tokens, in the order of the configuration. Raises StartFailure: one of them makes no sense."""

    def __init__(self, configs: Sequence[TokenConfig], listener: str) -> None:
        self._tokens: list[_Token] = []
        names: set[str] = set()
        for index, config in enumerate(configs):
            if config.name in names:
                raise StartFailure(
                    f"rbac.tokens: two tokens are called '{config.name}'", ("rbac", "tokens", index, "name")
                )
            names.add(config.name)
            self._tokens.append(_Token(config, listener, ("rbac", "tokens", index)))

    def find(self, token: str) -> Rights | None:
        """Looks at all of them, so that the time tells nothing."""
        wanted = hash_of(token).encode()
        found: Rights | None = None
        for each in self._tokens:
            if hmac.compare_digest(each.hash().encode(), wanted):
                found = found or each.rights
        return found

    def renewed(self, rights: Rights) -> Rights | None:
        """By name: a token that was replaced under its name lets go on those that the old one let in."""
        return next((each.rights for each in self._tokens if each.rights.identity == rights.identity), None)


class _Token:
    def __init__(self, config: TokenConfig, listener: str, key: tuple[str | int, ...]) -> None:
        self._key = key
        self._name = config.name
        given = [name for name in ("token_env", "token_file", "hash") if getattr(config, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise StartFailure(
                f"token '{config.name}': give one of token_env, token_file and hash, got {told}", (*key, *given[1:2])
            )
        self._file = None if config.token_file is None else expanduser(config.token_file)
        self._state = _NO_FILE
        self._hash = self._first_hash(config)
        self.rights = rights_of(config, listener, "token", key)

    def hash(self) -> str:
        """Of the token as it is now; one that fits nothing if there is none."""
        if self._file is not None:
            state = _state_of(self._file)
            if state != self._state:
                self._state = state
                try:
                    self._hash = hash_of(_read(self._file))
                except (OSError, ValueError) as error:
                    self._hash = ""
                    TOKEN_FILE_UNREADABLE(name=self._name, file=self._file, reason=str(error))
                else:
                    TOKEN_FILE_READ(name=self._name, file=self._file)
        return self._hash

    def _first_hash(self, config: TokenConfig) -> str:
        if config.hash is not None:
            if not is_hash(config.hash):
                raise StartFailure(
                    f"token '{config.name}': hash must be `sha256:` and 64 hexadecimal digits, as `iii token hash` prints it",
                    (*self._key, "hash"),
                )
            return config.hash
        if config.token_env is not None:
            token = os.environ.get(config.token_env, "").strip()
            fault = fault_of_token(token) if token else "it is not set"
            if fault is not None:
                raise StartFailure(
                    f"token '{config.name}': environment variable {config.token_env}: {fault}",
                    (*self._key, "token_env"),
                )
            return hash_of(token)
        assert self._file is not None
        self._state = _state_of(self._file)
        try:
            return hash_of(_read(self._file))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise StartFailure(f"token '{config.name}': {self._file}: {reason}", (*self._key, "token_file")) from None


def _state_of(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return _NO_FILE
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: str) -> str:
    """The token in a file. Raises OSError, or ValueError: it has none."""
    with open(path, "rb", opener=open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        content: Any = file.read(_READ_BYTES)
    try:
        token: str = content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise ValueError("a token consists of printable ASCII characters without blanks") from None
    fault = fault_of_token(token)
    if fault is not None:
        raise ValueError(fault)
    return token
