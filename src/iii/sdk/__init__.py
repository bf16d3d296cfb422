"""The worker SDK: `iii` re-exports what users need (DESIGN 4)."""

from iii.sdk import log_output

log_output.set_up()
