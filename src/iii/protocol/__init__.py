"""The wire, shared by engine and SDK: messages, codec, errors, names, limits, trace context (01)."""
