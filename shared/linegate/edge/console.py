"""Where tables are printed."""

from rich.console import Console


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a script or a pager."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=160)
