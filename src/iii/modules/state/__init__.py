"""`iii-state`: values that workers share, and the trigger type `state` (05 §1–3)."""
