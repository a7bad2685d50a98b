"""`linegate cost`: what a thousand boards cost on Google Cloud, from a recipe and a file of prices."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import yaml
from rich.table import Table

from linegate import config
from linegate.commands.arguments import real
from linegate.console import console
from linegate.errors import UsageError
from linegate.settings import Recipe, Settings
from linegate.stages import STAGES, Instance

BOARDS: Final = 1000
MOST: Final = 1e9  # US dollars, tokens or seconds; what is more is a slip
CROP_BYTES: Final = 20_000  # of a message with a crop; another of this size with its golden reference
CHECK_BYTES: Final = 1_000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--recipe", metavar="NAME", help="(the first)")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="prices in place of the built-in list")
    parser.add_argument(
        "--crops", type=real(0, 10_000), default=3.0, metavar="N", help="findings on a board, on average (3)"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the cost of a thousand boards with `--crops` findings each on average. Returns 0. Raises ConfigError, UsageError."""
    settings, prices = config.without_secrets(options.config), options.prices
    name = options.recipe or next(iter(settings.recipes))
    if name not in settings.recipes:
        raise UsageError(f"there is no recipe {name!r}; there is {', '.join(settings.recipes)}")
    try:
        costs = per_thousand(settings, settings.recipes[name], prices_of(prices), options.crops)
    except KeyError as error:
        raise UsageError(f"the prices in {prices} can't be used: {error} is missing") from error
    except (TypeError, ZeroDivisionError) as error:
        raise UsageError(f"the prices in {prices} can't be used: {error}") from error
    if options.json:
        print(json.dumps(costs, indent=2))
        return 0
    table = Table("per 1000 boards", "US$", box=None, header_style="bold")
    for part, cost in costs.items():
        table.add_row(part, f"{cost:.2f}")
    table.add_section()
    table.add_row("in all", f"{sum(costs.values()):.2f}")
    console().print(table)
    return 0


def prices_of(file: Path | None) -> dict[str, Any]:
    """The prices in this file, or the built-in list. Raises UsageError."""
    file = file or Path(__file__).parent / "prices.yaml"
    try:
        listed: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"the prices in {file} can't be used: {' '.join(str(error).split())}") from error
    for name, price in _leaves(listed, ""):
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < MOST:
            raise UsageError(f"the prices in {file} can't be used: {name} is {str(price)[:40]}, which is no price")
    return listed


def _leaves(value: object, name: str) -> list[tuple[str, object]]:
    """The dotted name and the value of each entry."""
    if not isinstance(value, dict):
        return [(name or "the file", value)]
    return [leaf for key, item in value.items() for leaf in _leaves(item, f"{name}.{key}".lstrip("."))]


def per_thousand(settings: Settings, recipe: Recipe, prices: dict[str, Any], crops: float) -> dict[str, float]:
    """US dollars for each service and 1000 boards."""
    detector, verifier = recipe.detector, recipe.verifier
    asked = crops if verifier.checks else 0.0
    targets = max(1, len(settings.targets))
    pictures = detector.cost(settings.service(detector), prices)
    checks = verifier.cost(recipe, settings.service(verifier), prices) if verifier.priced and asked else {}
    costs = {who: BOARDS * dollars for who, dollars in pictures.items()}
    costs |= {who: BOARDS * asked * dollars for who, dollars in checks.items()}
    crop_bytes = CROP_BYTES * (2 if recipe.golden else 1) * 4 / 3  # base64
    # Counted when published and again when delivered.
    per_board = 2 * (asked * (crop_bytes + CHECK_BYTES) + (1 + targets) * CHECK_BYTES)
    costs["Pub/Sub"] = BOARDS * per_board / 2**40 * prices["pubsub"]["per_tebibyte"]
    storage = prices["storage"]
    costs["Cloud Storage"] = BOARDS / 1000 * (2 * storage["write_per_thousand"] + 3 * storage["read_per_thousand"])
    firestore = prices["firestore"]
    reads, writes = 2 * asked + 4 + 2 * targets, asked + 4 + 2 * targets
    costs["Firestore"] = (
        BOARDS
        * (reads * firestore["read_per_hundred_thousand"] + writes * firestore["write_per_hundred_thousand"])
        / 1e5
    )
    messages = {"detect": 1.0, "verify": asked, "aggregate": asked, "notify": float(targets)}
    costs["Cloud Run"] = BOARDS * sum(
        count * _message(STAGES[stage].instance, prices["run"]) for stage, count in messages.items()
    )
    return costs


def _message(instance: Instance, price: dict[str, float]) -> float:
    """US dollars for one message, whose instance of one core works on others as well."""
    second = price["vcpu_second"] + instance.memory_mib / 1024 * price["gib_second"]
    return instance.message_s / instance.concurrency * second + price["per_million_requests"] / 1e6
