"""Functions that are HTTP endpoints somewhere: the engine calls their URL (03 Part B)."""
