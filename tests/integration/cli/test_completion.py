"""`iii completion`, as the shell itself uses it."""

import subprocess

import pytest

from iii.cli import COMMANDS
from tests.integration.cli.running import Iii


def completed(script: str, *words: str) -> set[str]:
    line = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _iii; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(
        subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True).stdout.split()
    )


def test_bash_completes_commands_subcommands_and_options(iii: Iii) -> None:
    script = iii("completion", "bash").stdout
    assert completed(script, "iii", "") >= set(COMMANDS)
    assert completed(script, "iii", "sta") == {"state"}
    assert completed(script, "iii", "state", "w") == {"watch"}
    assert completed(script, "iii", "queue", "p") == {"pause", "purge"}
    assert "--keys" in completed(script, "iii", "state", "list", "orders", "--")
    assert completed(script, "iii", "worker", "dr") == {"drain"}
    assert completed(script, "iii", "token", "") >= {"create", "hash"}
    assert completed(script, "iii", "cron", "next", "@daily", "--time") == {"--timezone", "--timeout-ms", "--timeout"}


def test_zsh_has_the_same_and_fish_its_own(iii: Iii) -> None:
    assert iii("completion", "zsh").stdout.endswith(iii("completion", "bash").stdout)
    fish = iii("completion", "fish").stdout.splitlines()
    assert "complete -c iii -f -n '__fish_seen_subcommand_from worker' -a 'list info drain disconnect'" in fish
    assert "complete -c iii -n '__fish_seen_subcommand_from state' -l keys" in fish


@pytest.mark.parametrize(
    ("arguments", "text"), [(["tcsh"], "unknown command 'iii completion tcsh' (expected bash, zsh or fish)"), ([], "")]
)
def test_wrong_usage(iii: Iii, arguments: list[str], text: str) -> None:
    done = iii("completion", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
