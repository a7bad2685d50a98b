"""What pages tell is there: links, anchors, files, commands and options; and the version has its entry."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import linegate
from linegate.commands.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "shared" / "docs"
PACKAGE = Path(linegate.__file__).parent
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", CHANGELOG, *sorted(DOCS.glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A path of several parts, or a module by itself
PATH = re.compile(r"(?<![\w/.{}:-])(?:(?:[\w.*-]+/)+[\w.*-]*|[\w*-]+\.py\b)")
# A command as it is typed: at the begin of an indented line, in a code span, after what runs it
TYPED = re.compile(r"(?:^ {4,}|`|uv run |bin/)linegate ([a-z-]+)([^`\n#]*)", re.MULTILINE)


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(BLOCK.sub("", page.read_text())) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named(page: Path) -> Iterator[str]:
    """The paths of our own files that a page names; not those that hold a placeholder, as in terraform/envs/ENV.yaml."""
    ours = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()} - {"build", "dist"}
    for path in PATH.findall(page.read_text()):
        first, *others = path.rstrip("./").split("/")
        if (first in ours or first.endswith(".py")) and not any(each.partition(".")[0].isupper() for each in others):
            yield path.rstrip("./")


def words_of(command: str) -> set[str]:
    """Every text in the module of a command, its options among them, and those that several commands share."""
    module = command.replace("-", "_")
    files = [*PACKAGE.glob(f"commands/{module}.py"), *PACKAGE.glob(f"commands/{module}/__init__.py")]
    files += [PACKAGE / "commands" / f"{shared}.py" for shared in ("arguments", "labelled")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@each_page
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# What a reader makes who follows the worked example of CONTRIBUTING.md
MADE = {"shared/linegate/adapters/targets/file.py", "tests/unit/test_file_target.py"}


@each_page
def test_each_file_that_is_named_is_there(page: Path) -> None:
    paths = set(named(page)) - MADE if page != CHANGELOG else set[str]()  # which tells of what is gone, too
    for path in paths:
        assert any(any(folder.glob(path)) for folder in (ROOT, PACKAGE, ROOT / ".ci")), path


@each_page
def test_each_test_that_is_named_is_there(page: Path) -> None:
    for file, test in re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", page.read_text()):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


@each_page
def test_each_command_and_option_that_is_typed_is_known(page: Path) -> None:
    for command, rest in TYPED.findall(page.read_text()):
        assert command.startswith("--") or command in COMMANDS, f"linegate {command}"
        options = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
        assert command.startswith("--") or options <= words_of(command), f"linegate {command}{rest}"


def test_the_readme_is_read_in_ten_minutes_and_leads_to_every_page() -> None:
    assert len(README.read_text().splitlines()) < 150
    assert {(ROOT / link.partition("#")[0]) for link in links(README)} >= set(PAGES) - {README}


def test_the_version_has_its_entry_in_the_changelog() -> None:
    assert f"\n## [{linegate.__version__}] - " in CHANGELOG.read_text()


def test_the_notifications_that_are_shown_fit_their_schemas() -> None:
    shown = re.findall(r"```json\n(.*?)```", (DOCS / "integration.md").read_text(), re.DOTALL)
    for example, name in zip(shown, ("webhook", "report"), strict=True):
        schema = json.loads((DOCS / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads(example))
