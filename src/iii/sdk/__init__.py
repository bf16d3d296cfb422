"""The worker SDK: `iii` re-exports what users need (DESIGN 4)."""
