"""`linegate cost`: what a thousand boards cost on Google Cloud, from a recipe and a file of prices."""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
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
DRAWN_BYTES: Final = 400_000  # of an annotated picture
ASKED_BYTES: Final = 300_000  # of a picture on its way to a detector elsewhere, base64
TOLD_BYTES: Final = 5_000  # of a notification
LOGGED_BYTES: Final = 2_500  # of a message served: the function's lines and the platform's own
DOCUMENT_BYTES: Final = 2_000
# As Terraform sets them (uploads_days, results_days, message_retention_duration)
UPLOADS_DAYS, RESULTS_DAYS, RETAINED_DAYS = 90.0, 365.0, 7.0
MONTH_DAYS: Final = 30.0
MONTH_S: Final = MONTH_DAYS * 86_400
GIBIBYTE: Final = 2**30
# What waits for no line
NEVER_WARM: Final = frozenset({"review", "sweep"})


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--recipe", metavar="NAME", help="(the first)")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="prices in place of the built-in list")
    parser.add_argument(
        "--crops", type=real(0, 10_000), default=3.0, metavar="N", help="findings on a board, on average (3)"
    )
    parser.add_argument(
        "--picture-mb", type=real(0, 500), default=2.0, metavar="MB", help="size of an upload, on average (2)"
    )
    parser.add_argument(
        "--uploads-days", type=real(0, 36_500), default=UPLOADS_DAYS, metavar="N", help="how long uploads are kept (90)"
    )
    parser.add_argument(
        "--results-days",
        type=real(0, 36_500),
        default=RESULTS_DAYS,
        metavar="N",
        help="how long annotated pictures are kept (365)",
    )
    parser.add_argument(
        "--warm", type=real(0, 100), default=0.0, metavar="N", help="instances of each stage that are kept warm (0)"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the cost of a thousand boards with `--crops` findings each on average. Returns 0. Raises ConfigError, UsageError."""
    settings, prices = config.without_secrets(options.config), options.prices
    name = options.recipe or next(iter(settings.recipes))
    if name not in settings.recipes:
        raise UsageError(f"there is no recipe {name!r}; there is {', '.join(settings.recipes)}")
    kept = Kept(options.picture_mb * 1e6, options.uploads_days, options.results_days)
    try:
        listed = prices_of(prices)
        costs = per_thousand(settings, settings.recipes[name], listed, options.crops, kept)
        warm, dated = warm_a_month(settings, listed, options.warm), as_of(listed)
    except KeyError as error:
        raise UsageError(f"the prices in {prices} can't be used: {error} is missing") from error
    except (TypeError, AttributeError, ZeroDivisionError) as error:
        raise UsageError(f"the prices in {prices} can't be used: {error}") from error
    if options.json:
        print(json.dumps({"per_thousand_boards": costs, "warm_instances_a_month": warm}, indent=2))
        return 0
    table = Table("per 1000 boards", "US$", box=None, header_style="bold")
    for part, cost in costs.items():
        table.add_row(part, f"{cost:.2f}")
    table.add_section()
    table.add_row("in all", f"{sum(costs.values()):.2f}")
    if warm:
        table.add_section()
        table.add_row("warm instances, a month", f"{warm:.2f}")
    console().print(table)
    for line in dated:
        console().print(line, style="dim", highlight=False)
    return 0


def as_of(listed: Mapping[str, Any]) -> list[str]:
    """Since when the prices are known, as lines; none for a list that does not say."""
    sections: dict[str, list[str]] = {}
    for name, source in listed.get("sources", {}).items():
        sections.setdefault(source["as_of"], []).append(name)
    return [f"list price as of {when}: {', '.join(names)}" for when, names in sections.items()]


def prices_of(file: Path | None) -> dict[str, Any]:
    """The prices in this file, or the built-in list. Raises UsageError."""
    file = file or Path(__file__).parent / "prices.yaml"
    try:
        listed: Any = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"the prices in {file} can't be used: {' '.join(str(error).split())}") from error
    priced = (
        {key: section for key, section in listed.items() if key != "sources"} if isinstance(listed, dict) else listed
    )
    for name, price in _leaves(priced, ""):
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < MOST:
            raise UsageError(f"the prices in {file} can't be used: {name} is {str(price)[:40]}, which is no price")
    return dict(listed)


def _leaves(value: object, name: str) -> list[tuple[str, object]]:
    """The dotted name and the value of each entry."""
    if not isinstance(value, dict):
        return [(name or "the file", value)]
    return [leaf for key, item in value.items() for leaf in _leaves(item, f"{name}.{key}".lstrip("."))]


@dataclass(frozen=True, slots=True)
class Kept:
    """How large an upload is, and how many days pictures are kept."""

    upload_bytes: float = 2e6
    uploads_days: float = UPLOADS_DAYS
    results_days: float = RESULTS_DAYS


def per_thousand(
    settings: Settings, recipe: Recipe, prices: Mapping[str, Any], crops: float, kept: Kept = Kept()
) -> dict[str, float]:
    """US dollars for each service and 1000 boards, for all the time that anything of them is kept."""
    verifier = recipe.verifier
    asked = crops if verifier.checks else 0.0
    targets = max(1, len(settings.targets))
    pictures: defaultdict[str, float] = defaultdict(float)
    for detector in recipe.detectors:
        for who, dollars in detector.cost(settings.service(detector), prices).items():
            pictures[who] += dollars
    checks = verifier.cost(recipe, settings.service(verifier), prices) if verifier.priced and asked else {}
    costs = {who: BOARDS * dollars for who, dollars in pictures.items()}
    costs |= {who: BOARDS * asked * dollars for who, dollars in checks.items()}
    crop_bytes = CROP_BYTES * (2 if recipe.golden else 1) * 4 / 3  # base64
    published = asked * (crop_bytes + CHECK_BYTES) + (1 + targets) * CHECK_BYTES
    pubsub, storage, firestore = prices["pubsub"], prices["storage"], prices["firestore"]
    # Counted when published and again when delivered.
    costs["Pub/Sub"] = BOARDS * 2 * published / 2**40 * pubsub["per_tebibyte"]
    costs["Pub/Sub, retained"] = BOARDS * _kept(published, RETAINED_DAYS) * pubsub["retained_gibibyte_month"]
    costs["Cloud Storage"] = BOARDS / 1000 * (2 * storage["write_per_thousand"] + 3 * storage["read_per_thousand"])
    pictures_kept = _kept(kept.upload_bytes, kept.uploads_days) + _kept(DRAWN_BYTES, kept.results_days)
    costs["Cloud Storage, pictures kept"] = BOARDS * pictures_kept * storage["gibibyte_month"]
    sent = ASKED_BYTES * sum(detector.asks for detector in recipe.detectors) + targets * TOLD_BYTES
    costs["Egress"] = BOARDS * sent / GIBIBYTE * prices["egress"]["gibibyte"]
    reads, writes = 2 * asked + 4 + 2 * targets, asked + 5 + 2 * targets
    costs["Firestore"] = (
        BOARDS
        * (reads * firestore["read_per_hundred_thousand"] + writes * firestore["write_per_hundred_thousand"])
        / 1e5
    )
    documents = (2 + asked + targets) * DOCUMENT_BYTES
    documents_days = settings.cloud.retention_days if settings.cloud else RESULTS_DAYS
    costs["Firestore, documents kept"] = BOARDS * _kept(documents, documents_days) * firestore["gibibyte_month"]
    messages = {"detect": 1.0, "verify": asked, "aggregate": asked, "notify": float(targets)}
    costs["Cloud Run"] = BOARDS * sum(
        count * _message(settings.instance(stage), prices["run"]) for stage, count in messages.items()
    )
    costs["Logging"] = BOARDS * sum(messages.values()) * LOGGED_BYTES / GIBIBYTE * prices["logging"]["gibibyte"]
    return costs


def warm_a_month(settings: Settings, prices: Mapping[str, Any], instances: float) -> float:
    """US dollars a month for so many idle instances of each stage that a line waits for."""
    run = prices["run"]
    warm = (settings.instance(name) for name in STAGES if name not in NEVER_WARM)
    seconds = (each.cores * run["idle_vcpu_second"] + each.memory_mib / 1024 * run["idle_gib_second"] for each in warm)
    return instances * MONTH_S * sum(seconds) if instances else 0.0


def _kept(size: float, days: float) -> float:
    """Gibibytes times months."""
    return size / GIBIBYTE * days / MONTH_DAYS


def _message(instance: Instance, price: dict[str, float]) -> float:
    """US dollars for one message, whose instance works on others as well."""
    second = instance.cores * price["vcpu_second"] + instance.memory_mib / 1024 * price["gib_second"]
    return instance.message_s / instance.concurrency * second + price["per_million_requests"] / 1e6
