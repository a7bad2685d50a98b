"""What a mutant changes: one expression or statement of a module.

Left alone are words for people (f-strings, what is logged, what an error says), types, assertions and docstrings: there
a change is no fault, or mypy sees it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
# Names of which the one is easily written for the other
PAIRS: Final = (
    ("width", "height"),
    ("left", "right"),
    ("top", "bottom"),
    ("left", "top"),
    ("right", "bottom"),
    ("x", "y"),
    ("across", "down"),
    ("min", "max"),
    ("any", "all"),
    ("low", "high"),
)
# Arguments that nothing else is written for
WIRING: Final = frozenset({"context", "connection", "inspection", "settings", "recipe"})
TWINS: Final = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
LIVES: Final = re.compile(r"# mutant `([^`]+)` lives: (\S.*)$")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change at `line`; `make` carries it out in the tree that it was found in.

    Who runs one of the lines from `start`, where the statement begins, to `end` runs what is changed.
    """

    line: int
    start: int
    end: int
    what: str
    make: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Where:
    start: int  # the line in which the statement begins
    runs: bool  # inside a function


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """All mutants of a module, in an order that stays."""
    yield from _within(tree, _Where(1, False))


def explained(source: str) -> dict[tuple[int, str], str]:
    """Why a mutant may live, by line and change, as its comment says: # mutant `< ▶ <=` lives: both are empty there.

    It stands on the line that it is about, or above it.
    """
    found: dict[tuple[int, str], str] = {}
    waiting: dict[str, str] = {}
    for number, line in enumerate(source.splitlines(), start=1):
        said = LIVES.search(line)
        if said and line.lstrip().startswith("#"):
            waiting[said[1]] = said[2]
            continue
        if said:
            waiting[said[1]] = said[2]
        found |= {(number, what): why for what, why in waiting.items()}
        waiting = {}
    return found


def _within(node: ast.AST, where: _Where) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        if isinstance(value, ast.AST):
            yield from _child(value, where, lambda new, field=field: setattr(node, field, new))  # type: ignore[misc]
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield from _child(each, where, lambda new, value=value, index=index: value.__setitem__(index, new))  # type: ignore[misc]


def _child(node: ast.AST, where: _Where, put: Callable[[Any], None]) -> Iterator[Mutant]:
    if isinstance(node, ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom) or _is_text(node) or _logs(node):
        return
    if isinstance(node, ast.If) and all(map(_logs, node.body)) and not node.orelse:
        return
    if isinstance(node, ast.stmt):
        where = replace(where, start=node.lineno)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and not where.runs:
        return  # the name of a value that is stored or typed: what is pinned, and mypy, see to that
    for what, new in _changes(node):
        end = node.end_lineno or node.lineno  # type: ignore[attr-defined]
        yield Mutant(node.lineno, where.start, end, what, lambda new=new: put(new()))  # type: ignore[attr-defined, misc]
    if isinstance(node, ast.Raise):  # what it says is for people
        return
    if isinstance(node, ast.If | ast.While | ast.IfExp) and _plain(node.test):
        test = node.test
        yield Mutant(
            test.lineno,
            where.start,
            test.end_lineno or test.lineno,
            "condition ▶ its contrary",
            lambda: setattr(node, "test", _at(ast.UnaryOp(ast.Not(), test), test)),
        )
    inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    yield from _within(node, replace(where, runs=where.runs or inside))


def _is_text(node: ast.AST) -> bool:
    """Docstrings, and those of attributes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _logs(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else node
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
    )


def _plain(test: ast.expr) -> bool:
    """Whether nothing else turns it into its contrary."""
    if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING":
        return False
    return not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant)


def _at(new: Any, old: ast.AST) -> Any:
    return ast.fix_missing_locations(ast.copy_location(new, old))


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What may be put in the place of a node."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                other = COMPARISONS[type(op)]()
                new = ast.Compare(left, [*ops[:index], other, *ops[index + 1 :]], comparators)
                yield f"{_sign(op)} ▶ {_sign(other)}", lambda new=new: _at(new, node)  # type: ignore[misc]
        case ast.BoolOp(op, values):
            other_op: ast.boolop = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{_word(op)} ▶ {_word(other_op)}", lambda: _at(ast.BoolOp(other_op, values), node)
        case ast.UnaryOp(ast.Not(), operand):
            yield "not ▶", lambda: operand
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield "- ▶", lambda: operand
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            new_op = ARITHMETIC[type(op)]()
            yield f"{_sign(op)} ▶ {_sign(new_op)}", lambda: _at(ast.BinOp(left, new_op, right), node)
        case ast.AugAssign(target, op, added) if type(op) in ARITHMETIC:
            yield f"{_sign(op)}= ▶ =", lambda: _at(ast.Assign([target], added), node)
        case ast.Constant(bool() as value):
            yield f"{value} ▶ {not value}", lambda: _at(ast.Constant(not value), node)
        case ast.Constant(int() | float() as value):
            more = value + 1 if value <= 10 else 2 * value
            yield f"{value} ▶ {more}", lambda: _at(ast.Constant(more), node)
        case ast.Constant(str() as value) if value and value.isidentifier():
            yield f'"{value}" ▶ another', lambda: _at(ast.Constant(f"{value}_"), node)
        case ast.Name(name, ast.Load()) if name in TWINS:
            yield f"{name} ▶ {TWINS[name]}", lambda: _at(ast.Name(TWINS[name], ast.Load()), node)
        case ast.Attribute(owner, name, ast.Load()) if name in TWINS:
            yield f".{name} ▶ .{TWINS[name]}", lambda: _at(ast.Attribute(owner, TWINS[name], ast.Load()), node)
        case ast.Call(func, args, keywords) if len(args) > 1:
            for index in range(len(args) - 1):
                if not _alike(args[index], args[index + 1]):
                    continue  # mypy, or the first call, sees to that
                turned = [*args[:index], args[index + 1], args[index], *args[index + 2 :]]
                yield (
                    f"arguments {index + 1} and {index + 2} exchanged",
                    lambda turned=turned: _at(ast.Call(func, turned, keywords), node),  # type: ignore[misc]
                )
        case ast.Return(ast.expr() as given) if not (isinstance(given, ast.Constant) and given.value is None):
            yield "return ▶ return None", lambda: _at(ast.Return(ast.Constant(None)), node)
        case ast.Return(None) | ast.Continue() | ast.Break() | ast.Raise():
            yield f"{_word(node)} ▶ pass", lambda: _at(ast.Pass(), node)
        case ast.Expr(ast.Call() | ast.Await()):
            yield "statement ▶ pass", lambda: _at(ast.Pass(), node)
        case _:
            pass


def _alike(one: ast.expr, other: ast.expr) -> bool:
    """Whether one may have been written for the other."""
    same = type(one) is type(other) and not isinstance(one, ast.Starred | ast.Lambda)
    return same and not any(isinstance(each, ast.Name) and each.id in WIRING for each in (one, other))


def _word(node: ast.AST) -> str:
    return type(node).__name__.lower()


def _sign(op: ast.AST) -> str:
    if isinstance(op, ast.cmpop):
        return ast.unparse(ast.Compare(ast.Name("a"), [op], [ast.Name("b")]))[2:-2]
    return ast.unparse(ast.BinOp(ast.Name("a"), op, ast.Name("b")))[2:-2]  # type: ignore[arg-type]
