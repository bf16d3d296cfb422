"""Functions of another engine here, and of this one there (07 §6.2)."""
