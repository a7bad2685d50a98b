"""Settings under which a gate could not see defects, each sound by itself: they are refused, in words of the file."""

import itertools
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from linegate.sections import Zone
from linegate.settings import Recipe, Settings
from linegate.stages import STAGES

# No detector is so sure: at this confidence every finding would be left out.
SUREST: Final = 0.99
# Part of the picture that may be ignored
MOST_IGNORED: Final = 0.9
# Where nobody but a plant's own machines can be, and how many bits of an address must be fixed elsewhere, by version
PRIVATE: Final = tuple(
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)
FIXED_BITS: Final = {4: 16, 6: 48}


def faults(settings: Settings) -> list[str]:
    """What blinds this gate, each fault with the key it belongs to."""
    found = [
        f"recipes.{name}.{fault}"
        for name, recipe in settings.recipes.items()
        for check in (_confidences, _ignored, _classes, _detectors)
        for fault in check(recipe)
    ]
    for name, recipe in settings.recipes.items():
        for detector, budget_s in zip(recipe.detectors, settings.budgets_s(recipe), strict=True):
            if budget_s >= recipe.deadline_s:
                found.append(
                    f"{detector.service}.budget_s: must be shorter than deadline_s of recipe {name!r} "
                    f"({recipe.deadline_s:g}), not {budget_s:g}"
                )
    if settings.cloud:
        found += _beyond_functions(settings)
    return found + list(_networks(settings.network.private_addresses))


def _beyond_functions(settings: Settings) -> Iterator[str]:
    """Services that may take longer than the function that waits for them is let run."""
    detect, verify = STAGES["detect"].instance, STAGES["verify"].instance
    for name, recipe in settings.recipes.items():
        for detector, budget_s in zip(recipe.detectors, settings.budgets_s(recipe), strict=True):
            if budget_s > detect.budget_s:
                yield (
                    f"{detector.service}.budget_s: {detect.budget_s} at most on Google Cloud, where detect ends after "
                    f"{detect.timeout_s} s, not {budget_s:g}"
                )
        if recipe.verifier.asks and recipe.check_budget_s > verify.budget_s:
            yield (
                f"recipes.{name}.check_budget_s: {verify.budget_s} at most on Google Cloud, where verify ends after "
                f"{verify.timeout_s} s, not {recipe.check_budget_s:g}"
            )


def _confidences(recipe: Recipe) -> Iterator[str]:
    minima = {"confidence": recipe.confidence} | {
        f"classes.{name}.minimum_confidence": policy.minimum_confidence
        for name, policy in recipe.classes.items()
        if policy.minimum_confidence is not None
    }
    for key, minimum in minima.items():
        if minimum >= SUREST:
            yield f"{key}: must be less than {SUREST}, not {minimum:g}: every finding would be left out"


def _ignored(recipe: Recipe) -> Iterator[str]:
    part = covered(recipe.ignore)
    if part > MOST_IGNORED:
        yield f"ignore: covers {part:.0%} of the picture; {MOST_IGNORED:.0%} at most may be ignored"


def covered(zones: list[Zone]) -> float:
    """The part (0 … 1) of the picture that lies in any of the zones."""
    across = sorted({side for zone in zones for side in (zone.left, zone.right)})
    total = 0.0
    for left, right in itertools.pairwise(across):
        reached = 0.0
        for zone in sorted((zone for zone in zones if zone.left <= left and right <= zone.right), key=lambda z: z.top):
            total += (right - left) * max(0.0, zone.bottom - max(zone.top, reached))
            reached = max(reached, zone.bottom)
    return total


def _classes(recipe: Recipe) -> Iterator[str]:
    """A policy for a class that is never named is a slip of the pen; what a trained model names is not known here."""
    if not all(detector.names for detector in recipe.detectors):
        return
    names = list(dict.fromkeys(name for detector in recipe.detectors for name in detector.names))
    who = " and ".join(repr(detector.called) for detector in recipe.detectors)
    for name in recipe.classes:
        if name not in names:
            one = "detector" if len(recipe.detectors) == 1 else "detectors"
            verb = "names" if one == "detector" else "name"
            yield f"classes.{name}: {one} {who} {verb} no such class; there is {', '.join(names)}"


def _detectors(recipe: Recipe) -> Iterator[str]:
    for detector in recipe.detectors:
        yield from detector.faults(recipe)


def _networks(networks: list[str]) -> Iterator[str]:
    for index, text in enumerate(networks):
        network = ip_network(text)
        private = any(one.version == network.version and network.subnet_of(one) for one in PRIVATE)  # type: ignore[arg-type]
        if not private and network.prefixlen < FIXED_BITS[network.version]:
            yield (
                f"network.private_addresses.{index}: {text} holds public addresses; name your own networks, "
                f"of /{FIXED_BITS[network.version]} at most"
            )
