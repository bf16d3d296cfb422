"""Functions on the web: the trigger type `http` and its server (03 Part A)."""
