"""`linegate init`: a configuration to start from, with a secret of its own."""

import base64
import secrets
from pathlib import Path

from linegate.config import command

TEMPLATE = """\
# Linegate beside a line. Start it with:  {command} edge --config {name}
# Relative paths start at this file. ${{NAME}} in a text is replaced by the environment variable NAME.

edge:
  # Cameras write to {{data}}/uploads/LINE/STATION/SERIAL.jpg. Verdicts' pictures appear in results/, what could not be
  # inspected in quarantine/, and decided uploads move to archive/.
  data: linegate-data
  # A file counts when it was renamed in or closed, or has not changed for this long. Names ending in .part are ignored.
  settle_ms: 500
  retention_days: 30

# Roboflow detects where a recipe says `detector: roboflow`; an Inference server of yours differs in api_url only.
# roboflow:
#   workspace: my-workspace
#   api_key: ${{ROBOFLOW_API_KEY}}
#   api_url: https://serverless.roboflow.com
#   input_side: 512                             # of the model; pictures are sent twice as large at most

# Gemini verifies where a recipe says `verifier: gemini`: by key, or on Vertex AI by project.
# gemini:
#   api_key: ${{GEMINI_API_KEY}}                  # or project: my-project, location: global
#   model: gemini-3-flash-preview

recipes:
  pcb:
    # golden: compare with the picture of a good board, on this machine, without any account or network.
    # roboflow: ask a workflow, named under `workflow`.
    detector: golden
    # workflow: {{id: pcb-inspection}}            # for detector roboflow
    # golden: look at each finding once more beside its reference.  gemini: ask Gemini, beside its reference if there is one.
    # workflow: take the results of the complete workflow.  none: every detection counts as a defect.
    verifier: golden
    # The good board. {{line}}, {{station}} and {{serial}} may stand in the name, e.g. golden/{{station}}.png
    golden: golden.png
    # copper: dark                                 # on pictures for detector golden; auto: dark on scans, else bright
    # Detections below this confidence (0 … 1) are dropped.
    confidence: 0.3
    # A board without all its answers by then goes to REVIEW; one check may take this long, repeats included.
    deadline_s: 60
    check_budget_s: 30
    # Per class, if it needs its own rule:
    # classes:
    #   missing_hole: {{verify: never}}             # counts without a check
    #   short: {{auto_fail_above: 0.95}}            # so sure that no check is spent on it
    #   spur: {{minimum_confidence: 0.5, definition: copper juts out by more than a third of the track's width}}
    # What lies wholly inside these parts of the picture is ignored (a fiducial, a label):
    # ignore:
    #   - {{left: 0, top: 0, right: 0.12, bottom: 0.08}}

lines:
  smt-1: {{recipe: pcb}}

# Where targets may lie besides the public internet, and be spoken to without encryption.
# network:
#   private_addresses: [192.168.10.0/24]

targets: {{}}
# targets:
#   hmi-1:
#     type: webhook                               # signed after standardwebhooks.com
#     url: http://hmi-1.local:8080/linegate
#     secrets: ["{secret}"]
#     verdicts: [FAIL, REVIEW, ERROR]             # all, if left out
#     lines: [smt-1]                              # all, if left out
#   quality:
#     type: slack
#     url: ${{SLACK_WEBHOOK_URL}}
#     verdicts: [FAIL, REVIEW, ERROR]
"""


def write_configuration(path: Path) -> None:
    """Write the commented file and say what comes next. Raises OSError."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    path.write_text(TEMPLATE.format(name=path.name, command=command(), secret=secret), encoding="utf-8")
    print(f"wrote {path}")
    started = f"{command()} edge --config {path}"
    print(f"next: put the picture of a good board at {path.parent / 'golden.png'}, then: {started}")
