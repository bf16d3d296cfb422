"""The `iii-exec` block (07 §6.1)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from iii.protocol.start_failure import StartFailure

Restart = Literal["never", "on-failure", "always"]


class ExecConfig(Struct, frozen=True, kw_only=True):
    """Commands, and when they run again."""

    exec: Annotated[
        list[str] | None,
        Meta(
            description="Commands for `sh -c`, in order: each waits until the one before has succeeded, the last one is left "
            "running. Required; an empty list runs nothing."
        ),
    ] = None
    watch: Annotated[
        list[str] | None,
        Meta(
            description="Patterns of files, such as `src/**/*.py` or `steps/*.{ts,js}`. A change ends everything and begins "
            "with the first command again."
        ),
    ] = None
    restart: Annotated[
        Restart,
        Meta(
            description="Whether the last command runs again when it has ended by itself; after a pause of 1 to 30 s."
        ),
    ] = "never"
    env: Annotated[dict[str, str], Meta(description="Variables of the commands, beside those of the engine.")] = {}
    cwd: Annotated[str | None, Meta(description="Folder of commands and patterns; by default that of the engine.")] = (
        None
    )

    def __post_init__(self) -> None:
        for key in self.env:
            if not key or "=" in key or "\0" in key:
                raise ValueError(f"env: {key!r} is not the name of a variable")
        for text in (*(self.exec or ()), *(self.watch or ()), *self.env.values(), self.cwd or ""):
            if "\0" in text:
                raise ValueError(f"{text[:40]!r} has a NUL byte, which no command or path may have")

    def commands(self) -> list[str]:
        """Raises StartFailure: there is no list of them."""
        if self.exec is None:
            raise StartFailure(
                'iii-exec requires a config with exec: a list of commands, `exec: ["node dist/main.js"]`'
            )
        return self.exec
