"""An instance on the platform is ready before its first board; nowhere else does importing a function build anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linegate.edge.functions import functions_folder
from linegate.stages import STAGES
from tests.boards import clean_board

CONFIG = f"""
roboflow: {{workspace: plant, api_key: k}}
gemini: {{api_key: k}}
recipes:
  pcb: {{detector: roboflow, verifier: gemini, workflow: {{id: pcb}}, golden: golden.png}}
lines: {{smt-1: {{recipe: pcb}}}}
targets:
  hmi: {{url: "https://hmi/", secrets: [whsec_{"A" * 43}=]}}
"""
# As the server does it: import in one process, serve in another.
CODE = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
import main
from linegate import bootstrap
assert threading.active_count() == 1
assert not bootstrap._default
imported = sys.argv[2] in sys.modules
if os.fork() == 0:
    built = {key[0] for app in bootstrap._default for key in app._built}
    print(imported, *sorted(built))
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


def started(stage: str, folder: Path, module: str, **environment: str) -> list[str]:
    """What an instance has imported and built when its server has forked."""
    (folder / "linegate.yaml").write_text(CONFIG)
    (folder / "golden.png").write_bytes(clean_board())
    outside = {key: value for key, value in os.environ.items() if key != "K_SERVICE"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(functions_folder() / stage), module],
        env=outside | {"LINEGATE_CONFIG": str(folder / "linegate.yaml"), "LINEGATE_LOG_LEVEL": "ERROR"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "module", "built"),
    [
        ("detect", "inference_sdk", ["detector", "registrar"]),
        ("verify", "google.genai", ["shared", "verifier"]),
        ("aggregate", "PIL.ImageDraw", []),
        ("notify", "linegate.adapters.local.store", ["target"]),
        ("sweep", "PIL.ImageDraw", []),
    ],
)
def test_on_the_platform_it_is_imported_before_the_fork_and_built_behind_it(
    stage: str, module: str, built: list[str], tmp_path: Path
) -> None:
    imported, *found = started(stage, tmp_path, module, K_SERVICE="linegate-stage")
    assert (imported, found) == ("True", built)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_elsewhere_nothing_is_built(stage: str, tmp_path: Path) -> None:
    assert started(stage, tmp_path, "linegate.adapters.gcp.firestore") == ["False"]


@pytest.mark.slow
def test_a_release_that_can_not_read_its_configuration_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="LINEGATE_CONFIG is not set"):
        started("sweep", tmp_path, "", K_SERVICE="linegate-sweep", LINEGATE_CONFIG="")
