"""The language in which an observer says which calls it is for (21 §7)."""
