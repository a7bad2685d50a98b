"""The mutation runner: what it changes, and that its tables go with the code."""

import ast

import pytest

from tests.mutation.modules import PACKAGE, ROOT, TESTS
from tests.mutation.named import NAMED, Named
from tests.mutation.operators import explained, mutants


def changed(source: str) -> set[str]:
    """The source after each mutant, as one line."""
    found = set()
    for index in range(len(list(mutants(ast.parse(source))))):
        tree = ast.parse(source)
        list(mutants(tree))[index].make()
        found.add(ast.unparse(tree).replace("\n    ", " "))
    return found


def test_each_mutant_changes_one_thing() -> None:
    assert changed("def f(a, b): return g(a, b) < 2") == {
        "def f(a, b): return g(a, b) <= 2",
        "def f(a, b): return g(a, b) < 3",
        "def f(a, b): return g(b, a) < 2",
        "def f(a, b): return None",
    }


def test_words_for_people_types_and_assertions_stay_as_they_are() -> None:
    source = """
def f(a: "int | None" = None):
    "Two."
    assert a != 1
    if a:
        log.info("event", a=1 + 1)
"""
    assert changed(source) == set()


def test_an_explanation_stands_on_its_line_or_above_it() -> None:
    source = "a < b  # mutant `< ▶ <=` lives: never equal\n# mutant `or ▶ and` lives: both hold\nx or y\n"
    assert explained(source) == {(1, "< ▶ <="): "never equal", (3, "or ▶ and"): "both hold"}


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.what)
def test_what_a_named_mutant_replaces_is_there(named: Named) -> None:
    source = (PACKAGE / named.module).read_text()
    assert source.count(named.old) == 1
    ast.parse(source.replace(named.old, named.new))
    assert named.module in TESTS


@pytest.mark.parametrize("module", TESTS)
def test_the_table_names_what_is_there(module: str) -> None:
    assert (PACKAGE / module).is_file()
    assert [test for test in TESTS[module] if not (ROOT / "tests" / test).is_file()] == []


@pytest.mark.parametrize("module", TESTS)
def test_what_is_explained_is_a_mutant_of_that_line(module: str) -> None:
    source = (PACKAGE / module).read_text()
    known = {(each.line, each.what) for each in mutants(ast.parse(source))}
    assert explained(source).keys() <= known
