"""`windlass completion`: the script that a shell loads."""

from __future__ import annotations

import click

from cli.exits import Exit
from cli.terminal import out

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_WINDLASS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Exit:
    """Print the completion script of a shell.

    \b
    bash  windlass completion bash > ~/.local/share/bash-completion/completions/windlass
    zsh   windlass completion zsh > "${fpath[1]}/_windlass"
    fish  windlass completion fish > ~/.config/fish/completions/windlass.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from cli.main import PROGRAM, cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    # The base class's text: bash's own asks the bash that is installed here for its version.
    out(ShellComplete.source(kind(cli, {}, PROGRAM, VARIABLE)).rstrip("\n"))
    return Exit.OK
