"""Spans on disk (06 §7.5)."""
