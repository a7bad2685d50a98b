"""What Ctrl-C does while a command runs."""

import signal


def on_interrupt(reaction: "signal._HANDLER") -> "signal._HANDLER":
    """Set what Ctrl-C does, unless whoever started us had it ignored; what it did before."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, reaction)
    return before


def clean_up_first() -> None:
    """From here on there are folders to remove before Ctrl-C ends the command."""
    from linegate.temporary import leave

    on_interrupt(leave)
