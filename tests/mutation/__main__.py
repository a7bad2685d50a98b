"""Changes the code and looks whether a test notices: `python -m tests.mutation [MODULE …] [--changed [COMMIT]]`.

MODULE is a file, a line of it or a folder of shared/linegate (`inspection.py`, `inspection.py:40`, `handlers`); all that
`modules.py` lists where none is named.
Ends with 1 where fewer than 95 of 100 mutants are killed, and where one of `named.py` lives.
"""

import argparse
import ast
import importlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.emulators import firestore_emulator
from tests.mutation.modules import NEEDS_EMULATOR, PACKAGE, ROOT, SLOW, TESTS
from tests.mutation.named import NAMED
from tests.mutation.operators import explained, mutants
from tests.mutation.trial import OPTIONS, Bench, Change, Outcome, Runner, imported

WANTED: Final = 0.95
FEW: Final = 2  # that may live where so little was tried that one is more than 5 %
# Imported before the first fork: whatever takes long and is none of ours
HEAVY: Final = (
    "cv2", "hypothesis", "numpy", "PIL.Image", "pydantic", "starlette.applications", "structlog", "urllib3", "yaml",
)  # fmt: skip


def changes_of(module: str, lines: set[int] | None) -> Iterator[Change]:
    """The mutants of a module (of these lines of it), those with a name first."""
    path = PACKAGE / module
    source = path.read_text()
    for named in NAMED:
        if named.module == module:
            assert source.count(named.old) == 1, f"named.py: {named.what}: {named.old!r} is not once in {module}"
            first = source[: source.index(named.old)].count("\n") + 1
            touched = range(first, first + named.old.count("\n") + 1)
            changed = source.replace(named.old, named.new)
            yield Change(str(path), first, touched, f"named: {named.what}", lambda changed=changed: changed)  # type: ignore[misc]
    for index, each in enumerate(mutants(ast.parse(source))):
        if lines is None or each.line in lines:

            def tree(index: int = index) -> ast.Module:
                made = ast.parse(source)
                list(mutants(made))[index].make()
                return made

            yield Change(str(path), each.line, range(each.start, each.end + 1), each.what, tree)


def changed_lines(base: str) -> dict[str, set[int]]:
    """The lines of each module that differ from a commit."""
    command = ["git", "diff", "--unified=0", "--no-color", base, "--", str(PACKAGE)]
    said = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if said.returncode:  # a clone without history, say
        print(f"what differs from {base} can't be told: {said.stderr.strip()}")
    found: dict[str, set[int]] = {}
    module = ""
    for line in said.stdout.splitlines():
        if line.startswith("+++ "):
            module = line.partition("shared/linegate/")[2]
        elif hunk := re.match(r"@@ \S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(module, set()).update(range(first, first + count))
    return found


def lines_of(names: Sequence[str]) -> dict[str, set[int]] | None:
    """The lines that are asked for; None where whole modules are."""
    found: dict[str, set[int]] = {}
    for module, _, line in (name.partition(":") for name in names if ":" in name):
        found.setdefault(module, set()).add(int(line))
    return found or None


def base() -> str:
    """Where what is worked on began."""
    command = ["git", "merge-base", "HEAD", "origin/main"]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    return found if found and found != head else "HEAD~1"


def modules_of(names: Sequence[str]) -> list[str]:
    """The modules of the table that these files and folders name."""
    found = [
        module
        for module in TESTS
        if not names or any(module == name or module.startswith(f"{name.rstrip('/')}/") for name in names)
    ]
    if not found:
        raise SystemExit(f"none of {', '.join(names)} is in tests/mutation/modules.py")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="files or folders of shared/linegate (all of the table)"
    )
    parser.add_argument(
        "--changed",
        metavar="COMMIT",
        nargs="?",
        const="",
        help="only lines that differ from this commit (where none is given, from origin/main, else from the last commit)",
    )
    parser.add_argument("--named", action="store_true", help="only what named.py lists")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no further mutant after so many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time (one for each core)")
    parser.add_argument("--lived", action="store_true", help="print those with an explanation too")
    options = parser.parse_args()
    began = time.monotonic()
    modules = modules_of([name.partition(":")[0] for name in options.modules])
    lines = changed_lines(options.changed or base()) if options.changed is not None else lines_of(options.modules)
    if lines is not None:
        modules = [module for module in modules if module in lines]
    changes = [
        change
        for module in modules
        for change in changes_of(module, lines[module] if lines is not None else None)
        if not options.named or change.what.startswith("named: ")
    ]
    if not changes:
        print("nothing to try")
        return 0
    # Evenly over all modules, should the time end before
    changes.sort(key=lambda change: (not change.what.startswith("named: "), hash_of(change)))
    outcomes: dict[int, Outcome] = {}
    used = sorted({module for module in modules if any(change.path == str(PACKAGE / module) for change in changes)})
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lgm."))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        cloud = any(module.startswith(NEEDS_EMULATOR) for module in used)
        places = [stack.enter_context(emulator()) if cloud else {} for _ in range(options.jobs)]
        bench = Bench(options.jobs, began + options.seconds, scratch, places, outcomes.__setitem__)
        run(changes, used, bench, outcomes, cloud=cloud)
    if options.seconds < float("inf"):  # who lives may be killed by a test that there was no time for
        outcomes = {index: outcome for index, outcome in outcomes.items() if outcome.killed_by or not outcome.cut}
    return report(changes, outcomes, used, time.monotonic() - began, options.lived)


def run(
    changes: Sequence[Change], used: Sequence[str], bench: Bench, outcomes: dict[int, Outcome], *, cloud: bool
) -> None:
    """Try them all. Raises RuntimeError where a test fails though nothing is changed."""
    for name in HEAVY:
        importlib.import_module(name)
    runner = Runner(changes, bench)
    tests = dict.fromkeys(test for module in used for test in TESTS[module])
    learned = bench.scratch / "learned"
    if pid := os.fork():
        os.waitpid(pid, 0)
    else:
        collect(runner, [str(ROOT / "tests" / test) for test in tests], cloud=cloud)
        learned.write_bytes(pickle.dumps((runner.ids, runner.known, outcomes)))
        os._exit(0)
    if not learned.exists():
        raise RuntimeError("the tests could not be collected; MUTATION_LOUD=1 tells why")
    runner.ids, runner.known, known = pickle.loads(learned.read_bytes())
    outcomes.update(known)
    failing = [each for each, known in zip(runner.ids, runner.known, strict=True) if not known.passes]
    if failing:
        print(
            f"{len(failing)} tests fail without any change, or there was no time for them; they are not asked: {failing[0]}, …"
        )
    at_import = [index for index, outcome in outcomes.items() if outcome.at_import]
    for index in at_import:
        del outcomes[index]
    imported(changes, bench, at_import, runner)


def collect(runner: Runner, tests: Sequence[str], *, cloud: bool) -> None:
    class Plain:
        """Without what needs an emulator where nothing of Google Cloud is tried."""

        @staticmethod
        def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
            items[:] = [
                item
                for item in items
                if (cloud or "firestore" not in item.nodeid)
                and (item.nodeid.startswith(SLOW) or not item.get_closest_marker("slow"))
            ]

    patient()
    if not os.environ.get("MUTATION_LOUD"):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
    pytest.main([*OPTIONS, *tests], plugins=[runner, Plain()])


def patient() -> None:
    """Properties are tried on the same few examples each time, however slow the machine is."""
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        max_examples=30,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    settings.load_profile("mutation")


@contextmanager
def emulator() -> Iterator[dict[str, str]]:
    with firestore_emulator() as host:
        yield {"FIRESTORE_EMULATOR_HOST": host}


def report(
    changes: Sequence[Change], outcomes: dict[int, Outcome], used: Sequence[str], took_s: float, all_lived: bool
) -> int:
    """Print what lived, and the score of each module; 1 where too much did."""
    why = {str(PACKAGE / module): explained((PACKAGE / module).read_text()) for module in used}
    width = max(map(len, used))
    rows, living, named_living = [], 0, []
    for module in used:
        path = str(PACKAGE / module)
        tried = {i: outcomes[i] for i, change in enumerate(changes) if change.path == path and i in outcomes}
        lived = [i for i, outcome in tried.items() if not outcome.killed_by]
        told = [i for i in lived if (changes[i].line, changes[i].what) in why[path]]
        for i in sorted(lived, key=lambda i: changes[i].line):
            because = why[path].get((changes[i].line, changes[i].what))
            if because is None or all_lived:
                cut = " (not all of its tests were run)" if outcomes[i].cut else ""
                note = f"equivalent: {because}" if because else f"lived through {outcomes[i].tests} tests{cut}"
                print(f"shared/linegate/{module}:{changes[i].line}: {changes[i].what}: {note}")
        killed = len(tried) - len(lived)
        rest = len(tried) - len(told)
        late = sum(outcome.killed_by == "time" for outcome in tried.values())
        score = f"{killed / rest:6.1%}" if rest else "     -"
        rows.append(
            f"{module:<{width}} {score}  {killed} of {rest} killed{f', {late} of them by time' if late else ''}"
            f"{f', {len(told)} explained' if told else ''}"
        )
        living += rest - killed
        named_living += [changes[i].what for i in lived if changes[i].what.startswith("named: ")]
    print(*rows, sep="\n")
    untried = len(changes) - len(outcomes)
    total = sum(
        (changes[i].line, changes[i].what) not in why[changes[i].path] or bool(outcomes[i].killed_by) for i in outcomes
    )
    print(
        f"{1 - living / max(1, total):.1%} of {total} mutants killed in {took_s:.0f} s"
        f"{f'; {untried} were not tried, for want of time' if untried else ''}"
    )
    if named_living:
        print(*(f"must not live: {what}" for what in named_living), sep="\n")
    return int(bool(named_living) or living > max(FEW, (1 - WANTED) * total))


def hash_of(change: Change) -> int:
    """A number that is the same in each run."""
    return zlib.crc32(f"{Path(change.path).name}{change.line}{change.what}".encode())


if __name__ == "__main__":
    sys.exit(main())
