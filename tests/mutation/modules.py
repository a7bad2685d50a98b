"""Which modules are tried, and the tests that must notice what is changed there; a test of another module does not count."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "shared" / "linegate"

# Of an upload's whole way through the handlers: repeated, late, by several at once
_WAY: Final = (
    "unit/test_handlers.py",
    "unit/test_races.py",
    "unit/test_repeats.py",
    "unit/test_review.py",
    "unit/test_several_detectors.py",
)
_DECIDED: Final = ("unit/test_inspection.py", "unit/test_leash.py", "unit/test_review.py", "unit/test_measure.py")
_SERVICE: Final = ("unit/test_exchange.py", "unit/test_hostile_answers.py")
_ROBOFLOW: Final = ("unit/test_hostile_answers.py", "unit/test_roboflow.py", "unit/test_workflow_answers.py")
_GEMINI: Final = ("unit/test_gemini.py", "unit/test_gemini_models.py", "unit/test_hostile_answers.py")
_STORE: Final = (
    "contract/test_inspections.py",
    "contract/test_outbox.py",
    "contract/test_queries.py",
    "contract/test_search.py",
)

TESTS: Final[dict[str, tuple[str, ...]]] = {
    "inspection.py": (*_DECIDED, "unit/test_housekeeping.py", "unit/test_repeats.py"),
    "verdict.py": (*_DECIDED, "unit/test_audits.py", "unit/test_notification.py"),
    "precedence.py": ("unit/test_precedence.py", "unit/test_repeats.py", "unit/test_review.py"),
    "merging.py": ("unit/test_several_detectors.py",),
    "kind.py": ("unit/test_policy.py", "unit/test_config.py", "unit/test_leash.py"),
    "challenges.py": ("unit/test_challenges.py",),
    "handlers/aggregate.py": _WAY,
    "handlers/ask.py": _WAY,
    "handlers/challenge.py": ("unit/test_challenges.py",),
    "handlers/detect.py": (*_WAY, "unit/test_audits.py", "unit/test_challenges.py", "unit/test_sight.py"),
    "handlers/notify.py": (*_WAY, "unit/test_notify.py"),
    "handlers/policy.py": ("unit/test_policy.py", "unit/test_leash.py", "unit/test_several_detectors.py"),
    "handlers/review.py": (*_WAY, "unit/test_audits.py"),
    "handlers/revise.py": (*_WAY, "unit/test_drawing_faults.py", "unit/test_notify.py"),
    "handlers/shot.py": (*_WAY, "unit/test_challenges.py"),
    "handlers/sound.py": ("unit/test_unsound_answers.py", "unit/test_several_detectors.py"),
    "handlers/sweep.py": ("unit/test_sweep.py", "unit/test_notify.py", "unit/test_repeats.py"),
    "handlers/verify.py": _WAY,
    "adapters/strict.py": (*_ROBOFLOW, *_GEMINI),
    "adapters/rle.py": ("unit/test_mask_labels.py", "unit/test_workflow_answers.py"),
    "adapters/roboflow/answers.py": _ROBOFLOW,
    "adapters/roboflow/detector.py": _ROBOFLOW,
    "adapters/roboflow/kind.py": (*_ROBOFLOW, "unit/test_config.py"),
    "adapters/roboflow/masks.py": _ROBOFLOW,
    "adapters/gemini/answers.py": _GEMINI,
    "adapters/gemini/verifier.py": _GEMINI,
    "adapters/exchange.py": (*_SERVICE, "contract/test_target.py", "unit/test_webhook.py"),
    "adapters/targets/endpoint.py": ("contract/test_target.py", "unit/test_webhook.py", "unit/test_slack.py"),
    "adapters/targets/webhook.py": ("contract/test_target.py", "unit/test_webhook.py"),
    "adapters/local/storage.py": ("contract/test_image_store.py", "unit/test_intake.py"),
    "adapters/local/store.py": (*_STORE, "unit/test_store.py"),
    "adapters/local/uploads.py": ("unit/test_intake.py", "unit/test_housekeeping.py"),
    "adapters/gcp/firestore.py": (*_STORE, "contract/test_firestore.py", "contract/test_challenges.py"),
    "adapters/gcp/storage.py": ("contract/test_image_store.py",),
    "edge/intake.py": ("unit/test_intake.py", "e2e/test_uploads.py"),
}
# Of these, what is marked `slow` answers too; of all others it takes too long for what it adds.
SLOW: Final = ("tests/unit/test_hostile_answers.py",)
# Their adapters are tried on Google's emulator.
NEEDS_EMULATOR: Final = "adapters/gcp/firestore"
