"""A mutant in the place of what runs: functions get the code of another compilation of their module."""

import ast
import gc
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

Key = tuple[str, str, int]  # file, qualified name, how many of that name came before


def functions(paths: set[str]) -> dict[Key, list[FunctionType]]:
    """All functions of these files that were made at import, by the place of their code."""
    live: defaultdict[CodeType, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename in paths:
            live[each.__code__].append(each)
    found: dict[Key, list[FunctionType]] = {}
    for path in paths:
        for key, code in _codes(compiled(ast.parse(Path(path).read_bytes()), path)):
            found[key] = live.get(code, [])
    return found


def compiled(tree: ast.Module | str, path: str) -> CodeType:
    return compile(tree, path, "exec", dont_inherit=True)


def swap(known: dict[Key, list[FunctionType]], plain: CodeType, mutant: CodeType) -> bool:
    """Give the functions of a module the mutant's code. False if what differs runs at import: then it must be imported anew."""
    if _at_import(plain) != _at_import(mutant):
        return False
    before, after = dict(_codes(plain)), dict(_codes(mutant))
    if before.keys() != after.keys():
        return False
    for key, code in after.items():
        if code == before[key]:
            continue
        for function in known.get(key, []):
            if function.__code__.co_freevars != code.co_freevars:
                return False
            function.__code__ = code
    return True


def _codes(module: CodeType) -> Iterator[tuple[Key, CodeType]]:
    """The code of each function of a module that is made at import."""
    count: defaultdict[str, int] = defaultdict(int)
    waiting = [module]
    while waiting:
        for each in waiting.pop().co_consts:
            if not isinstance(each, CodeType):
                continue
            if each.co_flags & inspect.CO_OPTIMIZED:
                yield (each.co_filename, each.co_qualname, count[each.co_qualname]), each
                count[each.co_qualname] += 1
            else:
                waiting.append(each)


def _at_import(code: CodeType) -> object:
    """What of a module or class is carried out when it is imported."""
    inner = tuple(
        "function"
        if isinstance(each, CodeType) and each.co_flags & inspect.CO_OPTIMIZED and not _comprehension(each)
        else _at_import(each)
        if isinstance(each, CodeType)
        else (type(each), repr(each))
        for each in code.co_consts
    )
    return code.co_code, code.co_names, inner


def _comprehension(code: CodeType) -> bool:
    return code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
