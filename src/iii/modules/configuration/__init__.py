"""`configuration`: settings that workers and modules share, kept on disk and changed while the engine runs (18 §2)."""
