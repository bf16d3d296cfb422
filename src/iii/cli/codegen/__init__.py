"""`iii codegen`: a module with which a program calls functions of others, from their schemas in discovery (12 §2)."""
