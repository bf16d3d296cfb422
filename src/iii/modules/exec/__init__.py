"""Programs that the engine runs: commands in order, the last one left running (07 §6.1)."""
