"""Spans that are kept, and the questions about them (06 §7)."""
