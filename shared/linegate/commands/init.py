"""`linegate init`: a configuration to start from, with a secret of its own, and a schema that editors complete it by."""

import argparse
import base64
import json
import os
import secrets
import shutil
import textwrap
from pathlib import Path
from typing import Final

import numpy as np

from linegate import imaging, sight
from linegate.config import command
from linegate.errors import ImageRejectedError, UsageError
from linegate.files import writable, writing
from linegate.kinds import DETECTORS
from linegate.reference import schema
from linegate.samples.camera import jpeg
from linegate.samples.product import Product
from linegate.samples.products import PRODUCTS, product
from linegate.sections import Limits
from linegate.settings import type_of
from linegate.temporary import temporary_folder

# The kinds that have a recipe to start from
KINDS: Final = {type_of(kind): kind for kind in DETECTORS if kind.start}
SCHEMA: Final = "linegate.schema.json"
SAMPLES: Final = "samples"
SEED: Final = 11  # of the pictures to try: the part that is absent is none whose hole looks like another part
TEMPLATE: Final = """\
# yaml-language-server: $schema=@schema@
# Linegate beside a line. Start it with:  @command@ edge --config @name@
# Relative paths start at this file. ${NAME} in a text is replaced by the environment variable NAME.
# What is commented out shows a default or an example; every key has its bounds in shared/docs/configuration.md.

edge:
  # Cameras write to {data}/uploads/LINE/STATION/SERIAL.jpg. Verdicts' pictures appear in results/, what could not be
  # inspected in quarantine/, and decided uploads move to archive/.
  data: linegate-data
  # A file counts when it was renamed in, or when its writer has closed it. One that was not watched meanwhile has to lie
  # unchanged for this long, and longer where the system can't tell who writes to it, as on a network share. Names that end
  # in .part are ignored; with NAME.sha256 beside it, a file counts when its content fits.
  settle_ms: 500
  # share_settle_ms: 5000
  # Permissions that the gate's files and folders lack: "0077" is for nobody else, "0027" lets its group in.
  # umask: "0077"
  # Decided uploads, verdicts and their pictures are removed after this time.
  retention_days: 30
  # scan_ms: 1000                                # how often folders are looked through, besides being watched
  # sweep_s: 5                                   # how often overdue boards and lost notifications are looked for
  # lease_s: 600                                 # a message in work for longer is given to somebody else
  # How what failed is tried again, before it goes to the dead letter:
  # retry: {minimum_s: 1, maximum_s: 60, attempts: 20}
  # How much is in work at the same time; detect and verify are chosen by the machine and the services, if left out:
  # concurrency: {detect: 2, verify: 64, aggregate: 8, notify_per_target: 4}
  # Processes that open and compare pictures, and their limits; chosen by the machine and the recipes, if left out:
  # workers: {processes: 2, time_limit_s: 60, memory_mb: 2048}

# The pages for people at the line, which `linegate edge` serves. Without people they only show, and only on this machine.
# station:
#   listen: 127.0.0.1:8080                       # address and port
#   address: https://gate.my-plant.example       # how people reach it, where that is another address
#   hosts: []                                    # other names of it; requests by any further name are refused
#   people: {}                                   # who may use it, as `linegate person NAME` prints it
#   anybody: nobody                              # look: who has not entered may look, as a display on the wall does
#   session_h: 12                                # after so long without a sign of them, a person enters again
#   time_zone: UTC                               # of the clocks on the wall, e.g. Europe/Berlin
#   shifts: {early: "06:00", late: "14:00", night: "22:00"}   # when each begins
#   audit_key: "@secret@"                        # a secret by which a recipe's audit_share is drawn

# Roboflow detects where a recipe says `detector: roboflow`; an Inference server of yours differs in api_url only.
# roboflow:
#   workspace: my-workspace
#   api_key: ${ROBOFLOW_API_KEY}
#   api_url: https://serverless.roboflow.com
#   input_side: 512                              # of the model, in pixels
#   send_side: 1024                              # longest side that is sent; twice input_side, if left out
#   use_cache: true                              # of workflow definitions: 15 minutes on Roboflow's side
#   connect_timeout_s: 5
#   read_timeout_s: 20                           # of silence
#   timeout_s: 25                                # of one call
#   budget_s: 45                                 # of all attempts together

# Gemini verifies where a recipe says `verifier: gemini`: by key, or on Vertex AI by project.
# gemini:
#   api_key: ${GEMINI_API_KEY}                   # in its place, for Vertex AI:  project: my-project, location: global
#   model: gemini-3.6-flash                      # gemini-3.5-flash-lite is cheaper; names retire, `linegate doctor` tells
#   api_url: https://gemini-proxy.my-plant.example   # only where a proxy stands before Google
#   thinking: low                                # minimal, low, medium, high
#   resolution: medium                           # of the pictures as the model sees them: low, medium, high, ultra_high
#   service_tier: priority                       # before others, for more money; flex: half the price, minutes
#   max_output_tokens: 2048                      # thinking included
#   connect_timeout_s: 5
#   timeout_s: 20                                # of one call

recipes:
  @recipe@:
@keys@

lines:
  smt-1:
    recipe: @recipe@
    # recipes: [@recipe@]                        # what a picture's metadata may ask for; only its own, if left out
    # notifies: true                             # false: no target hears of its boards, as of a line for trying
    # challenge_every: 8h                        # how often it must fail known-bad boards (linegate challenge), or it passes none
    # challenge_line: smt-1-challenge            # the line that those go through, by the same recipe; no target hears of it
    # silence_after: 5m                          # its page says so when nothing came for so long; its own rhythm, if left out

# Where targets may lie besides the public internet, and be spoken to without encryption.
# network:
#   private_addresses: [192.168.10.0/24]

targets: {}
# targets:
#   hmi-1:
#     type: webhook                              # signed after standardwebhooks.com
#     url: http://hmi-1.local:8080/linegate
#     secrets: ["@secret@"]
#     verdicts: [FAIL, REVIEW, ERROR]            # all, if left out
#     reports: true                              # a report of each shift that is over, beside verdicts; false, if left out
#     lines: [smt-1]                             # all, if left out
#     timeout_s: 15                              # of one call
#     give_up_after_s: 86400                     # a notification that was not taken until then is dead
#   quality:
#     type: slack
#     url: ${SLACK_WEBHOOK_URL}
#     verdicts: [FAIL, REVIEW, ERROR]
#   (brokers of MQTT: shared/docs/mqtt.md)

# What is let through:
# images: {max_bytes: 20000000, max_pixels: 100000000}

# Names of the buckets, which are folders here; and where a browser finds a picture, for links in notifications:
# storage:
#   uploads_bucket: uploads
#   results_bucket: results
#   picture_url: https://pictures.my-plant.example/{bucket}/{name}

# Only for a gate on Google Cloud, which terraform/ provisions from this file:
# cloud:
#   project: my-plant-dev
#   region: europe-west1
#   database: (default)
#   prefix: linegate                             # of resources' names
#   golden_bucket: my-plant-dev-golden           # where golden pictures lie
#   retention_days: 365                          # of documents
"""

# The keys of the recipe for bare boards
BARE_BOARD: Final = """\
# golden: compare with the picture of a good board, on this machine, without any account or network.
# roboflow: ask a workflow, named under `workflow`.
detector: golden
# Several look side by side, in place of one:  detectors: [{type: golden}, {type: roboflow, workflow: {id: pcb}}]
# Of detector roboflow; `id` is as in its address, the rest may be left out:
# workflow:
#   id: pcb-inspection
#   version: "3"                             # the newest, if left out
#   image_input: image                       # name of the input for the picture
#   parameters: {}                           # further inputs
#   predictions: predictions                 # the output that holds them, where several look like it
#   good: [ok]                               # of a workflow that classifies: every other class is a finding
#   results: crop_results                    # output of the complete workflow's per-crop results
#   exclude: [crops, output_image]           # outputs that need not travel
# golden: look at each finding once more beside its reference.  gemini: ask Gemini, beside its reference if there is one.
# workflow: take the results of the complete workflow.  none: every detection counts as a defect.
verifier: golden
# The good board. {line}, {station} and {serial} may stand in the name, e.g. golden/{station}.png
golden: golden.png
# mm_per_px: 0.05                            # sizes are told in mm then
# opportunities: 480                         # places of one product that could have a defect, parts and joints say, for DPMO
# Part of the picture that must have been judged; with less a person looks.
# least_coverage: 0.98
# copper: dark                               # on pictures for detector golden; auto: dark on scans, else bright
# Detections below this confidence (0 … 1) are dropped.
confidence: 0.3
# The verifier's leash: what the detector was surer of than that, no PASS of a verifier clears. A person looks. 1: no leash
clear_below: 0.9
# Part of the boards that pass which a person looks at all the same, not knowing: so escapes are counted. Needs
# station.audit_key.
# audit_share: 0.02
# A board without all its answers by then goes to REVIEW; one check may take this long, repeats included.
deadline_s: 60
check_budget_s: 30
# max_checks: 200                            # a picture with more findings goes to REVIEW unchecked
# max_findings: 1000                         # with more, the surest are kept and a person looks
# crop_padding: 0.25                         # margin around a crop, in parts of its box
# prompt: You look at a crop of a circuit board.   # in place of Linegate's own text for Gemini
# pictures: separate                         # composed: Gemini sees reference, crop, difference in one
# Per class, if it needs its own rule:
# classes:
#   missing_hole: {verify: never}            # counts without a check
#   short: {auto_fail_above: 0.95}           # so sure that no check is spent on it
#   spur: {minimum_confidence: 0.5, clear_below: 0.7, definition: copper juts out by more than a third of the track's width}
# What lies wholly inside these parts of the picture is ignored (a fiducial, a label):
# ignore:
#   - {left: 0, top: 0, right: 0.12, bottom: 0.08}
# What a picture must show; outside of it a person looks at the board and no detector is asked. 0 switches a limit off.
# The last five hold for the golden picture too, the others are in parts of what it shows (shared/docs/pictures.md):
# limits:
#   resolution: 0.7
#   aspect: 0.08
#   contrast: 0.7
#   colour: 0.33
#   brightness: 0.25
#   blur: 2
#   noise: 0.06
#   hidden: 0.02
#   least_contrast: 48                       # grey levels
#   least_side: 160                          # pixels
#   black: 0.5
#   white: 0.2
#   softest: 0.015
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, nargs="?", default=Path("linegate.yaml"), metavar="FILE", help="(linegate.yaml)"
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--kind", choices=KINDS, help="with a recipe for a detector of this kind")
    start.add_argument(
        "--product",
        metavar="NAME",
        help=f"with the recipe of a drawn product, and pictures to try: {', '.join(PRODUCTS)}",
    )


def run(options: argparse.Namespace) -> int:
    """Write the file, unless one is there. Returns 0. Raises UsageError."""
    if options.path.exists():
        raise UsageError(f"{options.path} exists and is left as it is; name another file or remove it")
    shown = product(options.product) if options.product else None
    with writing(writable(options.path)):
        if shown:
            write_product(options.path, shown)
        elif options.kind:
            write_for(options.path, options.kind)
        else:
            write_configuration(options.path)
    return 0


def write_configuration(path: Path) -> None:
    """Write the commented file for bare boards and its schema, and say what comes next. Raises OSError."""
    write_file(path, "pcb", BARE_BOARD)
    started = f"{command()} edge --config {path}"
    golden = path.parent / "golden.png"
    if not golden.exists():
        print(f"next: put the picture of a good board at {golden}, then: {started}")
    elif faults := _golden_faults(golden):
        print(f"{golden} is there, and {'; it '.join(faults)}: put a better one there, then: {started}")
    else:
        print(f"{golden} is there and can be compared with; next: {started}")


def write_for(path: Path, kind: str) -> None:
    """Write the file with a recipe for a detector of this kind, and say what comes next. Raises OSError."""
    write_file(path, "product", KINDS[kind].start)
    print(f"next: put in what the recipe asks for, then: {command()} doctor --config {path}")
    print(f"      {command()} edge --config {path}")


def write_product(path: Path, shown: Product) -> None:
    """Write the file with the product's recipe, what that names, and pictures to try; say what comes next.

    Raises OSError, and UsageError where something of it is there already.
    """
    pictures = path.parent / SAMPLES
    if pictures.exists():
        raise UsageError(f"{pictures} exists and is left as it is; choose another folder or remove it")
    with temporary_folder("linegate-init-") as folder:
        shown.prepare(folder)
        beside = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
        if there := [str(file) for file in beside if (path.parent / file).exists()]:
            raise UsageError(
                f"{path.parent / there[0]} exists and is left as it is; choose another folder or remove it"
            )
        for file in beside:
            (path.parent / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, path.parent / file)
    write_file(path, shown.name, shown.recipe)
    pictures.mkdir()
    rng = np.random.default_rng(SEED)
    for name, faults in {"good": (), **{fault: (fault,) for fault in shown.faults}}.items():
        (pictures / f"{name}.jpg").write_bytes(jpeg(shown.draw(rng, faults).picture))
    made = [*(str(path.parent / file) for file in beside), f"pictures to try in {pictures}"]
    print(f"wrote {' and '.join(made)}: {shown.title}")
    tried = pictures / f"{shown.faults[0]}.jpg"
    uploads = path.parent / "linegate-data" / "uploads" / "smt-1" / "station-1"
    print(f"next: {command()} doctor --config {path}")
    print(f"      {command()} inspect {tried} --config {path} --annotated {path.parent / 'out.jpg'}")
    print(f"      {command()} edge --config {path}")
    print("while that runs, in another terminal, as a camera does:")
    print(f"      mkdir -p {uploads} && cp {tried} {uploads}")
    print(f"      {command()} list --config {path}")


def write_file(path: Path, recipe: str, keys: str) -> None:
    """Write the commented file with one recipe of this name and these keys (YAML), and its schema. Raises OSError."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    marks = {"schema": SCHEMA, "command": command(), "name": path.name, "secret": secret, "recipe": recipe}
    text = TEMPLATE.replace("@keys@", textwrap.indent(keys.rstrip(), "    "))
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    # It holds a secret.
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    path.with_name(SCHEMA).write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}, and {SCHEMA} for your editor")


def _golden_faults(golden: Path) -> list[str]:
    """Why no board could be compared with the picture that lies there."""
    try:
        picture = imaging.decode(golden.read_bytes())
    except OSError as error:
        return [f"can't be read: {error.strerror}"]
    except ImageRejectedError as error:
        return [f"can't be used: {error}"]
    return sight.blindness(sight.measure(picture).figures, Limits())
