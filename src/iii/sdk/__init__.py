"""The worker SDK: `iii` re-exports what users need."""

from iii.sdk import log_output

log_output.set_up()
