"""The certificates that a listener knows, by the names in them (22 §4)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.engine.access.pattern import Patterns, unwrapped
from iii.engine.access.rights import Rights
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import CertificateConfig
from iii.server.grants import rights_of


class ListenerCertificates:
    """In the order of the configuration. Raises StartFailure: one of them makes no sense."""

    def __init__(self, configs: Sequence[CertificateConfig], listener: str) -> None:
        self._known: list[tuple[str, Patterns | None, Rights]] = []
        names: set[str] = set()
        for index, config in enumerate(configs):
            key = ("rbac", "certificates", index)
            if config.name in names:
                raise StartFailure(f"rbac.certificates: two certificates are called '{config.name}'", (*key, "name"))
            names.add(config.name)
            pattern = unwrapped(config.subject)
            fits = None if pattern is None else Patterns((pattern,))
            self._known.append((config.subject, fits, rights_of(config, listener, "certificate", key)))

    def find(self, names: Sequence[str]) -> Rights | None:
        """What the first entry grants that fits one of the names."""
        for subject, pattern, rights in self._known:
            if any(name == subject if pattern is None else name in pattern for name in names):
                return rights
        return None

    def renewed(self, rights: Rights, before: ListenerCertificates) -> Rights | None:
        """By name, while the entry is for the same certificates as it was."""
        for subject, _, granted in self._known:
            if granted.identity == rights.identity and before.is_for(rights, subject):
                return granted
        return None

    def is_for(self, rights: Rights, subject: str) -> bool:
        """Whether the entry that gave these rights is for this subject."""
        return any(known == subject and granted.identity == rights.identity for known, _, granted in self._known)
