"""Modules that are imported when one of their names is first used; a fork waits for that.

A child that is forked while another thread imports a module finds it half-made and locked by nobody: its own import of it
would wait for ever (08 §4.1).
"""

import os
from _thread import RLock, get_ident
from importlib import import_module

FORK_WAITS_S = 10.0  # an import takes a fraction of a second; one that hangs must not hold up a fork for ever

_importing = RLock()
_held_by = 0  # the thread that forks


def attribute(module: str, name: str) -> object:
    with _importing:
        return getattr(import_module(module), name)


def _before_fork() -> None:
    global _held_by
    if _importing.acquire(timeout=FORK_WAITS_S):
        _held_by = get_ident()


def _after_in_parent() -> None:
    global _held_by
    if _held_by == get_ident():
        _held_by = 0
        _importing.release()


def _after_in_child() -> None:
    global _importing, _held_by
    _importing, _held_by = RLock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
