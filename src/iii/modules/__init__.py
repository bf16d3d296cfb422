"""Built-in parts of the engine that are configured by name, one folder each."""
