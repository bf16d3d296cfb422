"""The worker SDK: `iii` re-exports what users need."""

from iii.protocol.log_event import before_lines


def _set_up_output() -> None:
    from iii.sdk.log_output import set_up  # with `logging`, which a program that only declares does without

    set_up()


before_lines(_set_up_output)
