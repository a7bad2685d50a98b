"""`linegate recover`: a damaged database is set aside, what can be read of it goes into a new one, and what could not is listed.

Uploads and archive stay as they are. Where a picture is still known and its inspection is not, it is inspected again.
"""

import argparse
from contextlib import closing
from pathlib import Path

from linegate import config
from linegate.adapters.local.database import DATABASE
from linegate.adapters.local.recovery import recover
from linegate.commands.arguments import add_config
from linegate.edge.archive import archived_uploads
from linegate.edge.runtime import data_folder, lock
from linegate.errors import UsageError
from linegate.texts import printable

arguments = add_config


def run(options: argparse.Namespace) -> int:
    """Save what can be read, set the database aside, tell what could not be read. Returns 0.

    Raises UsageError, ConfigError, TransientError; the damaged database then stands where it stood.
    """
    settings = config.load(options.config)
    data = data_folder(settings)
    damaged = data / DATABASE
    if not damaged.exists():
        raise UsageError(f"there is no database {damaged} to recover")
    with closing(lock(data)):  # raises ConfigError while a gate runs
        recovered = recover(damaged)
    for table, (saved, lost) in recovered.tables.items():
        print(f"{table}: {saved} saved" + (f", {lost} rows or stretches could not be read" if lost else ""))
    print(f"the damaged database is kept as {recovered.aside}")
    pictures = archived_uploads(data, settings.storage.uploads_bucket)
    for identity, remains in sorted(_remains(data).items()):
        if identity not in recovered.inspections:
            of = f" of {printable(pictures[identity], 400)}" if identity in pictures else ""
            print(f"not recovered: the verdict{of}, inspection {identity}; what is left of it: {remains}")
    print("uploads and archive are as they were; start the gate, and what has no verdict is inspected again")
    return 0


def _remains(data: Path) -> dict[str, Path]:
    """Inspection ▶ its annotated pictures, or why there are none."""
    return {path.stem: path for pattern in ("quarantine/*.json", "results/*") for path in data.glob(pattern)}
