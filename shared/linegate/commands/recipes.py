"""The recipe that a command was asked for by the name of a line."""

from collections.abc import Collection
from pathlib import Path

from linegate import config
from linegate.errors import ConfigError
from linegate.sections import Line
from linegate.settings import Recipe, Settings


def recipe_of(
    file: Path | None, line: str | None, unnamed: str, changes: Collection[str] = ()
) -> tuple[Settings, str, str, Recipe]:
    """Settings, line, and its recipe's name and content: the line that was asked for, or the first of the file.

    Without a file, a line and a recipe called `unnamed` with all defaults. `changes` are those of `config.load`.
    Raises ConfigError.
    """
    if file is None:
        line, recipe = line or unnamed, Recipe()
        return Settings(recipes={unnamed: recipe}, lines={line: Line(recipe=unnamed)}), line, unnamed, recipe
    settings = config.load(file, changes=changes)
    line = line or next(iter(settings.lines))
    known = settings.recipe_of(line)
    if known is None:
        raise ConfigError([f"lines: no line named {line!r}; there is {', '.join(settings.lines)}"], str(file))
    return settings, line, *known
