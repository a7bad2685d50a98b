"""Changes that were made by hand once, and lived: each of them must be noticed.

Each stands for what somebody would suffer from: the text of the code that keeps it away, and what is put in its place. Where
a text does not stand once in its module, `test_mutation.py` says so: the table goes with the code.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Named:
    what: str
    module: str
    old: str
    new: str


NAMED: Final = (
    Named(
        "who loses a decision overwrites the winner's picture",
        "handlers/revise.py",
        "    if not context.inspections.commit(revised.inspection, revision, revised.outbox):\n        return False\n",
        "    if not context.inspections.commit(revised.inspection, revision, revised.outbox):\n"
        "        context.images.write(\n"
        "            context.settings.storage.results_bucket, annotated.name or 'none', annotated.jpeg, JPEG\n"
        "        )\n"
        "        return False\n",
    ),
    Named(
        "a winner leaves the picture of who lost",
        "handlers/revise.py",
        "    if annotated.name and not annotated.first:\n",
        "    if annotated.name and not annotated.name:\n",
    ),
    Named(
        "deciding does not read again after it has lost",
        "handlers/revise.py",
        "            inspection = replace(inspection, revision=latest.revision, told=latest.told)\n",
        "            inspection = replace(inspection, told=latest.told)\n",
    ),
    Named(
        "who loses does not learn who was told",
        "handlers/revise.py",
        "            inspection = replace(inspection, revision=latest.revision, told=latest.told)\n",
        "            inspection = replace(inspection, revision=latest.revision)\n",
    ),
    Named(
        "sweep decides again",
        "precedence.py",
        "    if standing.decided_by == decided_by:\n        return Step.REPEAT\n",
        "    if standing.decided_by == decided_by:\n        return Step.NEXT\n",
    ),
    Named(
        "an incomplete decision follows an incomplete one",
        "precedence.py",
        "standing.decision.complete or not complete:",
        "standing.decision.complete:",
    ),
    Named(
        "a machine undoes a person's decision",
        "precedence.py",
        "    if standing.decided_by.is_person or standing.decision.complete",
        "    if standing.decision.complete and not standing.decided_by.is_person",
    ),
    Named(
        "a complete product is detected again",
        "handlers/detect.py",
        "    if inspection.complete:\n",
        "    if inspection.complete and not inspection.complete:\n",
    ),
    Named(
        "a manifest that stands is made anew",
        "handlers/detect.py",
        "    manifest = inspection.manifest\n    if manifest is None:\n",
        "    manifest = inspection.manifest\n    if True:\n",
    ),
    Named(
        "a detection of just the confidence does not count",
        "handlers/policy.py",
        "detection.confidence < recipe.minimum_confidence(",
        "detection.confidence <= recipe.minimum_confidence(",
    ),
    Named(
        "width and height of a zone are exchanged",
        "handlers/policy.py",
        "        zone.left * width <= left\n        and right <= zone.right * width\n"
        "        and zone.top * height <= top\n        and bottom <= zone.bottom * height\n",
        "        zone.left * height <= left\n        and right <= zone.right * height\n"
        "        and zone.top * width <= top\n        and bottom <= zone.bottom * width\n",
    ),
    Named(
        "a class minimum of 0 is taken for none",
        "kind.py",
        "return self.confidence if policy is None or policy.minimum_confidence is None else policy.minimum_confidence",
        "return self.confidence if policy is None or not policy.minimum_confidence else policy.minimum_confidence",
    ),
    Named(
        "the workflow is asked for what a class minimum of 0 wants no less than for the others",
        "kind.py",
        "*(minimum for minimum in minima if minimum is not None)",
        "*(minimum for minimum in minima if minimum)",
    ),
    Named(
        "a leash of 0 is taken for none",
        "kind.py",
        "return self.clear_below if policy is None or policy.clear_below is None else policy.clear_below",
        "return self.clear_below if policy is None or not policy.clear_below else policy.clear_below",
    ),
    Named(
        "the store's manifest is written without its precondition",
        "adapters/gcp/firestore.py",
        "board.update(fields, option=unchanged, retry=RETRY, timeout=BUDGET_S)",
        "board.update(fields, retry=RETRY, timeout=BUDGET_S)",
    ),
    Named(
        "an outbox entry is written without its precondition",
        "adapters/gcp/firestore.py",
        "document.update(updated, option=unchanged, retry=RETRY, timeout=BUDGET_S)",
        "document.update(updated, retry=RETRY, timeout=BUDGET_S)",
    ),
    Named(
        "a start does not resume what was lost",
        "edge/intake.py",
        "        self._archive.put_back()\n        self._resume()\n",
        "        self._archive.put_back()\n",
    ),
    Named(
        "Gemini's PASS needs no reason",
        "adapters/gemini/answers.py",
        "    if not isinstance(reason, str) or not any(char.isalnum() for char in brief(reason)):\n",
        "    if not isinstance(reason, str):\n",
    ),
    Named(
        "Gemini's reason to block is ignored",
        "adapters/gemini/answers.py",
        "    if feedback is not None and feedback.block_reason is not None:\n",
        "    if feedback is not None and feedback.block_reason is not None and not response.candidates:\n",
    ),
    Named(
        "boxes of less than 4 pixels are dropped",
        "adapters/roboflow/answers.py",
        "right < 0 or bottom < 0 or left > width or top > height:",
        "right < 0 or bottom < 0 or left > width or top > height or min(box.width, box.height) < 4:",
    ),
    Named(
        "boxes of less than a pixel are dropped",
        "adapters/roboflow/answers.py",
        "right < 0 or bottom < 0 or left > width or top > height:",
        "right < 0 or bottom < 0 or left > width or top > height or min(box.width, box.height) < 1:",
    ),
    Named(
        "across and down are exchanged when boxes are scaled",
        "adapters/roboflow/answers.py",
        "    told, (across, down) = _scale(predictions, sent, size)\n",
        "    told, (down, across) = _scale(predictions, sent, size)\n",
    ),
    Named(
        "a workflow's parameters hide what the recipe wants to see",
        "adapters/roboflow/kind.py",
        "        if isinstance(asked, int | float) and asked > lowest:\n",
        "        if isinstance(asked, int | float) and asked < 0:\n",
    ),
    Named(
        "a recipe's own parameters are not sent where there is a confidence",
        "adapters/roboflow/detector.py",
        '{"confidence": recipe.lowest_confidence, **workflow.parameters}',
        '{**workflow.parameters, "confidence": recipe.lowest_confidence}',
    ),
    Named(
        "a clock that runs ahead gains time",
        "handlers/shot.py",
        "        deadline=min(upload.uploaded_at, now) + patience,\n",
        "        deadline=upload.uploaded_at + patience,\n",
    ),
    Named(
        "a webhook's timestamp may lie in the future",
        "adapters/targets/webhook.py",
        "    if abs(now - int(timestamp)) > TOLERANCE_S:\n",
        "    if now - int(timestamp) > TOLERANCE_S:\n",
    ),
    Named(
        "redirects are followed",
        "adapters/exchange.py",
        "                redirect=False,\n                retries=False,\n",
        "                redirect=True,\n                retries=urllib3.Retry(3),\n",
    ),
    Named(
        "a redirect counts as delivered",
        "adapters/targets/endpoint.py",
        "        if 200 <= answer.status < 300:\n",
        "        if 200 <= answer.status < 400:\n",
    ),
    Named(
        "a body that is cut short is taken for whole",
        "adapters/exchange.py",
        "        if whole:\n            raise\n        response.close()\n",
        "        response.close()\n",
    ),
    Named(
        "a body that the time cut short is taken for whole",
        "adapters/exchange.py",
        "            if whole and exchange.cut:  # so does a body of no stated length\n                raise _late(total_s)\n",
        "",
    ),
    Named(
        "a picture may be replaced while it is read",
        "adapters/local/storage.py",
        "            if Identity.of(os.fstat(file.fileno())) != before or (digest and digest_of(data) != digest):\n"
        "                raise _replaced(ref)\n",
        "",
    ),
    Named(
        "a picture may be replaced before it is read",
        "adapters/local/storage.py",
        "                if not same(file.fileno(), Identity(*identity), digest):\n"
        "                    raise _replaced(ref)\n",
        "",
    ),
)  # fmt: skip
