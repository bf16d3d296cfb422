"""Addresses that the engine's process listens at; shared by the worker listeners and by modules that serve a port."""
