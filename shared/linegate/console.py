"""Where tables are printed."""

from typing import Final

from rich.console import Console

STYLE: Final = {"PASS": "green", "FAIL": "bold red", "REVIEW": "yellow", "ERROR": "magenta"}


class _Piped(Console):
    """rich ends the process with 1 when nobody reads any more, which is a verdict of ours: `main` decides."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Standard output (or error): as wide as the terminal, or wide enough for a script or a pager.

    What is printed is taken as it is: names of files and reasons hold square brackets, too.
    """
    terminal = _Piped(highlight=False, markup=False, stderr=stderr, soft_wrap=soft_wrap)
    if terminal.is_terminal:
        return terminal
    return _Piped(highlight=False, markup=False, stderr=stderr, soft_wrap=soft_wrap, width=160)
