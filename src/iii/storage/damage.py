"""Damage that a running engine meets: what it is, and indexes built again from the rows (P16)."""

from __future__ import annotations

import sqlite3


def is_damage(error: BaseException | None) -> bool:
    """Whether it will fail in the same way for ever, unlike a disk that is full or busy."""
    name = getattr(error, "sqlite_errorname", "")
    undecodable = isinstance(error, sqlite3.OperationalError) and "decode" in str(error).lower() and not name
    return isinstance(error, sqlite3.Error) and (name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or undecodable)


def rebuild_indices(connection: sqlite3.Connection) -> list[str]:
    """Build every index again that was made by a statement of its own; their names. Raises sqlite3.Error if rows cannot be read.

    The old ones are dropped without a look at their pages, as one that is damaged cannot be emptied; the file keeps these
    pages, unused. All of it is one transaction.
    """
    named = "FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    connection.execute("BEGIN IMMEDIATE")
    try:
        indices = connection.execute(f"SELECT name, sql {named}").fetchall()
        connection.execute("PRAGMA writable_schema = ON")
        try:
            connection.execute(f"DELETE {named}")
        finally:
            connection.execute("PRAGMA writable_schema = RESET")  # and the schema is read again
        for _, sql in indices:
            connection.execute(sql)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA writable_schema = RESET")
        raise
    return [name for name, _ in indices]
