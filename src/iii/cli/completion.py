"""`iii completion SHELL`: what a shell needs to complete commands, their subcommands and options."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from iii.cli.parser import USAGE_ERROR, Parser

_DESCRIPTION = """\
Prints a script that teaches a shell to complete the commands of iii, their subcommands and options.

  bash    put  eval "$(iii completion bash)"  into ~/.bashrc
  zsh     put  eval "$(iii completion zsh)"   into ~/.zshrc, behind compinit
  fish    iii completion fish > ~/.config/fish/completions/iii.fish"""
_SHELLS = ("bash", "zsh", "fish")
_SUBCOMMANDS: Mapping[str, tuple[str, ...]] = {
    "worker": ("list", "info", "drain", "disconnect"), "function": ("list", "info", "call"), "trigger": ("list", "fire"),
    "t": ("list", "fire"), "token": ("create", "hash"), "codegen": ("python", "typescript"), "completion": _SHELLS,
}  # fmt: skip

_BASH = """\
_iii() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} words="" before=${{COMP_WORDS[COMP_CWORD-1]}}
    if [ "$before" = --context ] || {{ [ "$command" = context ] && [[ $before = @(use|show|remove) ]]; }}; then
        words="$(iii context list --names 2>/dev/null)"
    elif [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "$command" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -o filenames -F _iii iii
"""
_ZSH = "autoload -Uz bashcompinit && bashcompinit\n"


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser("iii completion", _DESCRIPTION, "iii completion bash|zsh|fish")
    parser.add_argument("words", nargs="*", metavar="SHELL", help="bash, zsh or fish")
    return parser


def run(arguments: list[str]) -> int:
    """`iii completion SHELL`"""
    parser = build_parser()
    match parser.parse(arguments).words:
        case []:
            parser.print_help()
            return USAGE_ERROR
        case ["bash"]:
            print(_bash(_words()), end="")
        case ["zsh"]:
            print(_ZSH + _bash(_words()), end="")
        case ["fish"]:
            print(_fish(_words()), end="")
        case [shell, *_]:
            parser.refuse_command(shell, _SHELLS)
    return 0


def _words() -> dict[str, tuple[str, ...]]:
    """What may follow each command: subcommands, then options."""
    from iii.cli import COMMANDS

    words = {}
    for command, module in COMMANDS.items():
        part = import_module(module)
        following = _SUBCOMMANDS.get(command, tuple(getattr(part, "_USAGE", ())))
        options = part.build_parser().option_strings() if hasattr(part, "build_parser") else _LISTS
        words[command] = (*following, *(name for name in options if name.startswith("--")))
    return words


_LISTS = (
    "--all", "--search", "--json", "--url", "--address", "--port", "--context", "--ca-file", "--client-cert", "--client-key",
    "--server-name", "--insecure", "--timeout-ms", "--help",
)  # fmt: skip


def _bash(words: Mapping[str, tuple[str, ...]]) -> str:
    cases = "\n".join(
        f'            {command}) words="{" ".join(following)}" ;;' for command, following in words.items()
    )
    return _BASH.format(commands=" ".join(words), cases=cases)


def _fish(words: Mapping[str, tuple[str, ...]]) -> str:
    lines = [f"complete -c iii -f -n __fish_use_subcommand -a '{' '.join(words)}'"]
    for command, following in words.items():
        seen = f"-n '__fish_seen_subcommand_from {command}'"
        plain = [word for word in following if not word.startswith("-")]
        if plain:
            lines.append(f"complete -c iii -f {seen} -a '{' '.join(plain)}'")
        lines += [f"complete -c iii {seen} -l {word[2:]}" for word in following if word.startswith("--")]
    names = "-x -a '(iii context list --names 2>/dev/null)'"
    lines.append(
        f"complete -c iii -n '__fish_seen_subcommand_from context; and __fish_seen_subcommand_from use show remove' {names}"
    )
    lines = [f"{line} {names}" if line.endswith(" -l context") else line for line in lines]
    return "\n".join(lines) + "\n"
