"""Engines that have a name: where each is, and how to prove who asks; kept in one file of the user (22 §6)."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import msgspec

from iii.cli.parser import CommandFailed

FOLDER_MODE = 0o700


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One engine. A token is never stored, only where it is."""

    url: str
    token_env: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    server_name: str | None = None


class Contexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attributes:
    current: the one in use; None: none.
    """

    current: str | None = None
    contexts: dict[str, Context] = {}

    def named(self, name: str, said_by: str) -> Context:
        """Raises CommandFailed: there is none."""
        found = self.contexts.get(name)
        if found is None:
            from iii.cli.parser import suggestion

            hint = suggestion(name, self.contexts) or "; 'iii context list' shows all"
            raise CommandFailed(f"{said_by}: unknown context '{name}'{hint}")
        return found


def read_contexts(path: Path) -> Contexts:
    """Raises CommandFailed: the file is unusable."""
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            content = file.read()
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from None
    try:
        return msgspec.yaml.decode(content, type=Contexts)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # such as of a date that there is not
        raise CommandFailed(f"{path}: not a file of contexts: {error}; correct the file, or remove it") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Who can write the file says where commands go, and with which token. Raises CommandFailed: others can."""
    if os.name != "posix":
        return
    if status.st_uid not in (0, os.geteuid()):
        raise CommandFailed(
            f"{path}: the file belongs to another user ({status.st_uid}), who could send your token elsewhere; "
            "remove it, and add your contexts again"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CommandFailed(
            f"{path}: other users may write the file (mode {mode:04o}), and could send your token elsewhere; look at what "
            f"is in it, then: chmod 600 {shlex.quote(str(path))}"
        )


def write_contexts(path: Path, contexts: Contexts) -> None:
    """Old or new, never half, and for the user's eyes only. Raises CommandFailed."""
    import tempfile

    from iii.storage.sync import sync_path

    written: str | None = None
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=".contexts-")  # 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.yaml.encode(contexts))
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, path)
        written = None
        sync_path(path.parent)
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from None
    finally:
        if written is not None:
            Path(written).unlink(missing_ok=True)
