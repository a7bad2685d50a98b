"""Records one check; the last one decides the board."""

from dataclasses import asdict

from linegate.errors import PermanentError
from linegate.handlers.context import Context
from linegate.handlers.deciding import settle
from linegate.inspection import Decision, Inspection, decide
from linegate.logs import bound
from linegate.messages import CheckMade


def aggregate(context: Context, made: CheckMade) -> None:
    """Record a check and decide when all are here.

    A check that is there already means "go on", never "done": whoever stored it may have died before deciding. Raises
    TransientError, and PermanentError for an inspection that does not exist.
    """
    store, inspection_id = context.inspections, made.inspection_id
    if store.record_check(inspection_id, made.check) < made.expected:
        return
    inspection = store.get(inspection_id)
    if inspection is None or inspection.manifest is None:
        raise PermanentError(f"there is no inspection {inspection_id} with a manifest to decide")
    manifest = inspection.manifest
    if inspection.complete and inspection.revision and inspection.revision.decided_by != f"check:{made.check.index}":
        return
    checks = store.checks(inspection_id, manifest.expected)

    def decision_on(_: Inspection) -> Decision:
        return decide(manifest, checks)

    with bound(**asdict(inspection.place)):
        settle(context, inspection, f"check:{made.check.index}", decision_on)
