"""Metrics: of the engine itself and of workers, by function, rollup and alert (16)."""
