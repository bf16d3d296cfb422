"""The request of functions that are told nothing."""

from msgspec import Struct


class Nothing(Struct):
    """No input."""
