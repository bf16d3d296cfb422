"""Where items live: in memory, in SQLite, in Redis; and the operations that change one (05 §2)."""
