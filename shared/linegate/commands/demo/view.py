"""What a person sees of the demo: a live table on a terminal, lines elsewhere, a summary at the end."""

from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from linegate import config
from linegate.commands.demo.line import Outcome
from linegate.console import STYLE, console
from linegate.samples.products import PRODUCTS
from linegate.texts import printable

ROWS: Final = 14
WIDTH: Final = 18  # of a picture's name


class View:
    """Shows outcomes as they come; use as a context manager."""

    def __init__(self, total: int, *, silent: bool) -> None:
        self._console = console(stderr=silent)
        self._silent = silent
        self._last: deque[Outcome] = deque(maxlen=ROWS)
        self._progress = Progress(
            TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=self._console
        )
        self._task = self._progress.add_task("pictures", total=total)
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """A line beside the table."""
        if text:
            self._console.print(text, soft_wrap=True, highlight=False)

    def __enter__(self) -> "View":
        if self._console.is_terminal:
            self._live = Live(self._render(), console=self._console, refresh_per_second=8)
            self._live.start()
        elif not self._silent:
            self._console.print("Two cameras upload pictures; the HMI hears of each:", soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, outcome: Outcome) -> None:
        """Add one outcome; called from any thread."""
        self._last.append(outcome)
        self._progress.advance(self._task)
        if self._live:
            self._live.update(self._render())
        elif not self._silent:
            with suppress(BrokenPipeError):  # the last words tell who is to know
                self._console.print(Text("  ".join(_cells(outcome))), soft_wrap=True)

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("Picture", "Line", "Verdict", "Time", "Defects"):
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        for outcome in list(self._last):
            picture, line, verdict, took, defects = _cells(outcome)
            # Text, not markup: what a file is called must not colour the screen.
            table.add_row(
                Text(picture), Text(line), Text(verdict, STYLE.get(verdict.strip(), "")), Text(took), Text(defects)
            )
        return Group(table, self._progress)


def _cells(outcome: Outcome) -> tuple[str, str, str, str, str]:
    failed = Counter(
        defect["class"].replace("_", " ") for defect in outcome.data["defects"] if defect["result"] == "FAIL"
    )
    named = [f"{name} ({count})" if count > 1 else name for name, count in failed.items()]
    listed = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
    if outcome.verdict in ("ERROR", "REVIEW") and not failed:
        listed = "; ".join(outcome.data["reasons"])[:80]
    return (
        f"{printable(outcome.upload.name):{WIDTH}}",
        f"{outcome.line:6}",
        f"{outcome.verdict or '':7}",
        f"{outcome.upload_to_alert_ms:5.0f} ms",
        listed,
    )


def summary(report: dict[str, Any], folder: Path, title: str) -> None:
    """The last words of the demo; `title` says what was shown."""
    out = console(soft_wrap=True)
    verdicts = ", ".join(f"{count} {word}" for word, count in report["verdicts"].items() if count)
    answered = report["boards"] - report["missing"]
    out.print(f"\n{report['boards']} uploads, {answered} verdicts: {verdicts or 'none'}", style="bold")
    if report["missing"]:
        lost = [result["board"] for result in report["results"] if not result["verdict"]]
        out.print(Text(f"{report['missing']} without a verdict: {', '.join(map(printable, lost[:5]))}", "bold red"))
    if report["correct"] + report["wrong"]:
        out.print(f"Against truth: {report['correct']} right, {report['wrong']} wrong")
        for result in report["results"]:
            if result["verdict"] and result["truth"] and result["verdict"] != result["truth"]:
                wrong = f"{result['board']}: {result['verdict']} instead of {result['truth']}: {result['summary']}"
                out.print(Text(f"  {printable(wrong, 400)}"))
    alert = report["upload_to_alert_ms"]
    speed = f"{report['boards_per_second']} pictures a second"
    out.print(f"Upload to alert: median {_ms(alert['p50'])}, p95 {_ms(alert['p95'])}; {speed}")
    own = _ms(report["overhead_ms"]["p50"])
    out.print(f"  of it Linegate's own (without detector and slowest check): median {own}")
    webhooks = report["webhooks"]
    out.print(f"Webhooks: {webhooks['received']} received, {webhooks['bad_signatures']} with a bad signature")
    out.print(f"Shown: {title}")
    out.print(f"Annotated pictures: {folder}/results/*/r1.jpg")
    out.print(f"What could not be inspected: {folder}/quarantine/   Logs: {folder}/linegate.log")
    linegate = config.command()
    out.print(f"\nYour own pictures:  {linegate} demo --images DIR --golden GOOD_BOARD.png")
    out.print(f"Another product:    {linegate} demo --product {'|'.join(PRODUCTS)}")
    out.print(f"Beside a line:      {linegate} init, which says what comes next")


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"
