"""The table of model families: what is known to be refused is a fault of the file, what is not known is left to the model."""

from pathlib import Path
from typing import Any

import pytest

from linegate.adapters.gemini.models import DEFAULT, FAMILIES, LITE, family_of
from linegate.adapters.gemini.service import Gemini
from linegate.commands.cost import per_thousand, prices_of
from linegate.config import parse
from linegate.errors import ConfigError
from linegate.settings import Settings


def settings(recipe: str = "golden: g.png", **gemini: Any) -> Settings:
    said = ", ".join(f"{key}: {value}" for key, value in {"api_key": "k", **gemini}.items())
    return parse(
        f"recipes: {{pcb: {{verifier: gemini, {recipe}}}}}\nlines: {{a: {{recipe: pcb}}}}\ngemini: {{{said}}}",
        Path(),
        {},
    )


def cost(recipe: str = "golden: g.png", **gemini: Any) -> float:
    chosen = settings(recipe, **gemini)
    return per_thousand(chosen, chosen.recipes["pcb"], prices_of(None), 1.0)["Gemini"]


# --- the table


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (DEFAULT, "gemini-3.6-flash"),
        (LITE, "gemini-3.5-flash"),
        ("gemini-2.5-flash-lite-001", "gemini-2.5-flash-lite"),
        ("models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
    ],
)
def test_a_model_is_of_the_family_whose_name_fits_longest(model: str, family: str) -> None:
    assert family_of(model) is FAMILIES[family]


def test_who_follows_a_model_is_known_and_is_followed_by_none() -> None:
    for family in FAMILIES.values():
        if family.successor:
            known = family_of(family.successor)
            assert known is not None
            assert not known.successor


def test_the_default_takes_what_is_sent_by_default() -> None:
    family = family_of(DEFAULT)
    assert family is not None
    assert Gemini(api_key="k").thinking in family.thinking
    assert not family.successor


# --- what a family takes


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            {"model": "gemini-3.8-flash", "thinking": "minimal"},
            "thinking minimal is refused by the model gemini-3.8-flash, which takes low, medium, high",
        ),
        (
            {"model": "gemini-2.5-flash", "thinking": "low"},
            "thinking low is refused by the model gemini-2.5-flash, which takes no thinking level: leave it out",
        ),
        (
            {"model": "gemini-2.5-flash", "resolution": "ultra_high"},
            "resolution ultra_high is refused by the model gemini-2.5-flash, which takes low, medium, high",
        ),
    ],
)
def test_what_a_model_is_known_to_refuse_is_a_fault_of_the_file(written: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**written)
    assert caught.value.faults == [f"gemini: {said}"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({}, "low"),
        ({"thinking": "minimal"}, "minimal"),
        ({"model": "gemini-2.5-flash"}, None),
        ({"model": "gemini-4-flash"}, None),
        ({"model": "gemini-4-flash", "thinking": "minimal"}, "minimal"),
    ],
)
def test_of_a_family_that_is_not_known_only_what_was_written_is_sent(written: dict[str, str], sent: str | None) -> None:
    chosen = settings(**written).gemini
    assert chosen is not None
    assert chosen.thinking_sent == sent


# --- what it costs: a thousand checks, each with two pictures


def test_the_default_is_priced_by_its_list_price() -> None:
    assert cost() == pytest.approx(1000 * ((220 + 2 * 1120) * 1.50 + 150 * 7.50) / 1e6)
    assert cost(model="gemini-4-flash") == cost(), "a model that is not listed costs what the default does"


@pytest.mark.parametrize(
    ("written", "dollars"),
    [
        ({"model": LITE}, (220 + 2 * 1120) * 0.30 + 150 * 2.50),
        ({"resolution": "ultra_high"}, (220 + 2 * 2240) * 1.50 + 150 * 7.50),
        ({"resolution": "low"}, (220 + 2 * 280) * 1.50 + 150 * 7.50),
        ({"service_tier": "flex"}, 0.5 * ((220 + 2 * 1120) * 1.50 + 150 * 7.50)),
        ({"service_tier": "priority"}, 2 * ((220 + 2 * 1120) * 1.50 + 150 * 7.50)),
        ({"service_tier": "standard"}, (220 + 2 * 1120) * 1.50 + 150 * 7.50),
    ],
)
def test_model_resolution_and_tier_change_the_cost(written: dict[str, str], dollars: float) -> None:
    assert cost(**written) == pytest.approx(1000 * dollars / 1e6)


def test_one_composed_picture_costs_one_picture() -> None:
    assert cost("golden: g.png, pictures: composed") == pytest.approx(1000 * ((220 + 1120) * 1.50 + 150 * 7.50) / 1e6)
