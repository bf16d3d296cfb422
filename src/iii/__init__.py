"""iii: engine, worker SDK and command line."""
