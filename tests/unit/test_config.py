"""Configuration: every fault at once, in words of the file."""

import json
import re
from pathlib import Path

import pytest
import yaml

from linegate.adapters.targets.webhook import Webhook
from linegate.commands.init import write_configuration
from linegate.config import load, parse
from linegate.errors import ConfigError
from linegate.inspection import Verdict
from linegate.kinds import TARGETS
from linegate.reference import models, page, provisioning, schema
from linegate.settings import ROLES, Settings, keys_of

SECRET = "whsec_" + "A" * 43 + "="
GOOD = """
recipes: {pcb: {golden: golden.png}}
lines: {smt-1: {recipe: pcb}, smt-2: {recipe: pcb}}
targets:
  all: {url: "http://127.0.0.1/", secrets: ["${HMI_SECRET}"]}
  one: {url: "https://hmi/", secrets: ["${HMI_SECRET}"], lines: [smt-2], verdicts: [FAIL]}
network: {private_addresses: [127.0.0.1]}
"""


def read(text: str, **environment: str) -> Settings:
    return parse(text, Path("/etc/linegate"), environment, "linegate.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, HMI_SECRET=SECRET)
    return caught.value.faults


def test_secrets_come_from_the_environment() -> None:
    target = read(GOOD, HMI_SECRET=SECRET).targets["all"]
    assert isinstance(target, Webhook)
    assert target.secrets == [SECRET]


def changed(*changes: str) -> Settings:
    return parse(GOOD, Path(), {"HMI_SECRET": SECRET}, changes=changes)


def test_a_change_holds_in_place_of_what_the_file_says() -> None:
    settings = changed("recipes.pcb.confidence=0.5", "edge.retention_days=7", "lines.smt-2.recipe=pcb")
    assert settings.recipes["pcb"].confidence == 0.5
    assert settings.edge.retention_days == 7
    assert changed("gemini.api_key=${HMI_SECRET}").gemini is not None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("recipes.pcb.golden.name=1", "recipes.pcb.golden.name: golden holds no keys of its own"),
        ("recipes.pcb.colour=red", "recipes.pcb.colour: is not known here"),
        ("recipes.pcb.confidence=2", "recipes.pcb.confidence: must be 1 or less"),
        ("recipes.pcb.confidence=[", "is not YAML"),
    ],
)
def test_a_change_is_read_as_the_file_is(change: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(change)
    assert any(found.startswith(fault) for found in caught.value.faults)


def test_a_target_hears_of_its_lines_and_of_unknown_ones_only_if_it_named_none() -> None:
    settings = read(GOOD, HMI_SECRET=SECRET)
    assert settings.subscribed("smt-1") == {"all": list(Verdict)}
    assert settings.subscribed("smt-2") == {"all": list(Verdict), "one": [Verdict.FAIL]}
    assert settings.subscribed("nowhere") == {"all": list(Verdict)}


def test_nobody_hears_of_a_line_that_only_tries_the_gate_out() -> None:
    settings = read(GOOD.replace("lines: {", "lines: {smoke: {recipe: pcb, notifies: false}, "), HMI_SECRET=SECRET)
    assert settings.subscribed("smoke") == {}
    assert settings.subscribed("smt-1")


def test_all_faults_are_reported_at_once_with_their_path_and_what_is_allowed() -> None:
    found = faults(
        """
recipes:
  pcb: {detector: yolo, confidence: 2, golden: g.png, colour: red}
lines:
  smt-1: {recipe: pcb2, recipes: [pcb, pcb3]}
  a b: {recipe: pcb}
targets:
  hmi: {url: "ftp://x", secrets: [whsec_aaaa, "${NOPE}"], verdicts: [FAIL, BAD], lines: [smt-9]}
edge: {settle_ms: soon}
cameras: 2
"""
    )
    for expected in (
        "recipes.pcb.detector: is 'yolo'; allowed: golden, ",
        "recipes.pcb.confidence: must be 1 or less, not 2",
        "recipes.pcb.colour: is not known here; allowed: detectors, verifier, golden, mm_per_px",
        "lines.smt-1.recipe: no recipe named 'pcb2'; there is 'pcb'",
        "lines.smt-1.recipes: no recipe named 'pcb3'; there is 'pcb'",
        "lines.a b: may hold letters",
        "targets.hmi.url: must be an http:// or https:// address",
        "targets.hmi.secrets.0: must hold 24 to 64 bytes, this one holds 3",
        "targets.hmi.secrets.1: the environment variable NOPE is not set",
        "targets.hmi.verdicts.1: is 'BAD'; allowed: PASS, FAIL, REVIEW or ERROR",
        "targets.hmi.lines: no line named 'smt-9'; there is 'smt-1', 'a b'",
        "edge.settle_ms: must be a whole number, not 'soon'",
        "cameras: is not known here; allowed: roboflow, gemini, recipes, lines, targets",
    ):
        assert any(fault.startswith(expected) for fault in found), (expected, found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b", "must hold a mapping"),
        ("recipes: {", "is not YAML"),
        ("recipes: {pcb: {golden: a}}", "lines: is required and missing"),
        ("recipes: {}\nlines: {}", "recipes: "),
        (
            "recipes: {pcb: {}}\nlines: {a: {recipe: pcb}}",
            "recipes.pcb.golden: is required by detector 'golden'",
        ),
        ("recipes: {pcb: {golden: a}}\nlines: {a: {recipe: pcb}, a: {recipe: pcb}}", "a: given twice (line 2)"),
        ("recipes: {pcb: {golden: !!python/name:os.system x}}\nlines: {a: {recipe: pcb}}", "is not YAML"),
        ("recipes: []\nlines: 3\ntargets: x", "lines: "),
        ("recipes: {pcb: {golden: a}}\nlines: {a: pcb}", "lines.a: "),
        ("folder: /\nrecipes: {pcb: {golden: a}}\nlines: {a: {recipe: pcb}}", "folder: is not known here"),
    ],
)
def test_broken_files_are_named_by_their_fault(text: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(text)), faults(text)


@pytest.mark.parametrize("name", ["no", "on", "1", "1e3", "2024-01-01", "0x10", "null", "true"])
def test_a_line_may_be_called_what_yaml_takes_for_something_else(name: str) -> None:
    settings = read(f"recipes: {{{name}: {{golden: g}}}}\nlines: {{{name}: {{recipe: '{name}'}}}}")
    assert settings.recipe_of(name) is not None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("no", "YAML takes yes, no, on, off, true and false for something else"),
        ("1", "YAML takes what stands there for a number"),
        ("0x10", "YAML takes what stands there for a number"),
        ("2024-01-01", "YAML takes what stands there for a date"),
    ],
)
def test_a_value_that_yaml_takes_for_something_else_needs_quotes(value: str, kind: str) -> None:
    (found,) = faults(f"recipes: {{'{value}': {{golden: g}}}}\nlines: {{a: {{recipe: {value}}}}}")
    assert found == f"lines.a.recipe: must be text; {kind}: put quotes around it"


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (
            "lines: {a: pcb}",
            "lines.a: must hold keys of its own (recipe, recipes, notifies, challenge_every",
        ),
        ("lines: {a: {recipe: pcb}}\nedge:", "edge: must hold keys of its own (data, settle_ms"),
        ("lines: {a: {recipe: pcb}}\nedge: {data: ''}", "edge.data: must not be empty"),
        ("lines: {a: {recipe: pcb}}\nedge: {data: ' '}", "edge.data: must not be empty"),
        ("lines: {a: {recipe: pcb}}\nedge: {sweep_s: .nan}", "edge.sweep_s: must be "),
        ("lines: {a: {recipe: pcb}}\nedge: {sweep_s: .inf}", "edge.sweep_s: must be "),
        ("lines: {a: {recipe: pcb}}\nedge: {sweep_s: 1.0e400}", "edge.sweep_s: must be "),
        ("lines: {a: {recipe: pcb}}\nedge: {sweep_s: 1e400}", "edge.sweep_s: must be "),
        ("lines: {a: {recipe: pcb}}\nedge: {sweep_s: on}", "edge.sweep_s: must be a number; YAML takes yes"),
        ("lines: {a: {recipe: pcb}}\nedge: {workers: {processes: yes}}", "edge.workers.processes: must be a number;"),
        ("lines: {a: {recipe: pcb}}\nedge: {scan_ms: 1}", "edge.scan_ms: must be 50 or more, not 1"),
        ("lines: {a: {recipe: pcb}}\nimages: {max_bytes: 1.5}", "images.max_bytes: must be a whole number, not 1.5"),
        ("lines: [a]", "lines: must hold names, each with what belongs to it"),
        ("lines:", "lines: must hold names, each with what belongs to it; nothing stands there"),
        ("lines: {a: {recipe: pcb}}\ntargets: {h: {url: 'https://h/', lines: 3}}", "targets.h.lines: must be a list"),
        (
            "lines: {a: {recipe: pcb}}\ntargets: {h: {url: 'https://h/', lines: [no]}}",
            "targets.h.lines.0: must be text",
        ),
        (
            "lines: {a: {recipe: pcb}}\nroboflow: {workspace: w, use_cache: 7}",
            "roboflow.use_cache: must be true or false",
        ),
    ],
)
def test_a_fault_is_told_in_words_of_the_file(section: str, fault: str) -> None:
    found = faults(f"recipes: {{pcb: {{golden: g}}}}\n{section}")
    assert any(text.startswith(fault) for text in found), found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "recipes:\n  pcb: {golden: a\nlines:",
            "line 3, column 6: a ',' or what closes a bracket is missing before it",
        ),
        ("recipes: [a\nlines:", "line 2, column 6: a ',' or what closes a bracket is missing before it"),
        ("recipes:\n\tpcb: 1", "line 2, column 1: a tab stands there; YAML is indented with spaces"),
        ("recipes: a: b", "line 1, column 11: a ':' stands where none belongs"),
        ("gemini: {api_key: *s3cr3t}", "line 1, column 19: a text that starts with '*' needs quotes"),
        ("gemini: {api_key: !s3cr3t x}", "line 1, column 19: a text that starts with '!' needs quotes"),
        ("gemini: {api_key: 's3cr3t", "line 1, column 26: found unexpected end of stream"),
        ("gemini: {api_key: !s3cr3t!x y}", "line 1, column 19: found undefined tag handle …"),
        ("a: &s3cr3t 1\nb: &s3cr3t 2", "line 2, column 4: second occurrence"),
        ("a: 2026-99-99", "line 1, column 4: no such date or number"),
        ("a: " + "9" * 5000, "line 1, column 4: no such date or number"),
        ("a: 1" + "0" * 400, "line 1, column 4: a number of more than 64 bits"),
        ("a: 0x" + "f" * 5000, "line 1, column 4: a number of more than 64 bits"),
        ("a: !!timestamp s3cr3t", "line 1, column 4: no such date or number"),
        ("a: \x07", "character 4 is none that a text may hold"),
    ],
)
def test_broken_yaml_is_told_by_line_and_column_without_its_text(text: str, fault: str) -> None:
    (found,) = faults(text)
    assert found.startswith(f"is not YAML: {fault}")
    assert "s3cr3t" not in found
    assert "\n" not in found


def test_a_key_that_was_pasted_for_a_section_is_not_repeated() -> None:
    assert "s3cr3t" not in str(faults("recipes: {pcb: {golden: g}}\nlines: {a: {recipe: pcb}}\ngemini: s3cr3t"))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "linegate.yaml").write_text("recipes: {pcb: {golden: g}}\nlines: {a: {recipe: pcb}}", "utf-8-sig")
    assert list(load(tmp_path / "linegate.yaml").lines) == ["a"]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="linegate init"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_no_text_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "linegate.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no text in UTF-8"):
        load(tmp_path / "linegate.yaml")


def uncommented(path: Path) -> str:
    """The file that `init` writes, with all its examples: keys and list items behind a "#". Prose begins with a word and ": "."""
    write_configuration(path)
    example = re.compile(r"^(\s*)# (?!(?:golden|roboflow|workflow|none): [a-z])(?=\s*(?:[a-z0-9_-]+:|- \{))")
    lines = path.read_text().replace("targets: {}\n", "").splitlines()[1:]
    return "\n".join(example.sub(r"\1", line) for line in lines)


def test_the_file_that_init_writes_is_valid_and_so_is_all_that_is_commented_out_in_it(tmp_path: Path) -> None:
    path = tmp_path / "linegate.yaml"
    text = uncommented(path)
    assert load(path, {}).data == tmp_path / "linegate-data"
    environment = dict.fromkeys(("ROBOFLOW_API_KEY", "GEMINI_API_KEY", "SLACK_WEBHOOK_URL"), "https://x/")
    settings = parse(text, tmp_path, environment)
    assert settings.roboflow is not None
    assert settings.gemini is not None
    recipe = settings.recipes["pcb"]
    assert (len(recipe.classes), len(recipe.ignore), recipe.detectors[0].type == "golden") == (3, 1, True)
    assert [target.type for target in settings.targets.values()] == ["webhook", "slack"]


def test_the_file_that_init_writes_shows_every_key(tmp_path: Path) -> None:
    text = uncommented(tmp_path / "linegate.yaml")
    shown = {".".join(path) for path in key_paths(yaml.safe_load(text))}
    shown |= {"gemini.project", "gemini.location"} if "project: my-project, location: global" in text else set()
    of_kinds = {f"recipes.NAME.{key}" for kinds in ROLES.values() for kind in kinds for key in keys_of(kind)}
    of_one_of_several = {path for path in every_key() if path.startswith("recipes.NAME.detectors")}
    # shared/docs/measure.md, assembly.md, station.md and api.md
    pages = ["recipes.NAME.gauges", "recipes.NAME.zones", "station.people.", "station.iap_", "station.tokens"]
    # and that of each kind of target which an extra brings
    pages += [f"targets.NAME.{key}" for kind in TARGETS if kind.package for key in kind.model_fields]
    on_a_page = {path for path in every_key() if path.startswith(tuple(pages))}
    assert every_key() - shown - of_kinds - of_one_of_several - on_a_page == set()


def test_every_key_says_what_it_is() -> None:
    known = schema()["$defs"]
    silent = {
        f"{name}.{key}"
        for name, model in known.items()
        for key, field in model.get("properties", {}).items()
        if not field.get("description") and "$ref" not in field
    }
    assert silent == set()


def test_the_reference_is_in_step_with_the_models() -> None:
    root = Path(__file__).parents[2]
    docs = root / "shared" / "docs"
    assert (docs / "configuration.md").read_text() == page(), "run .ci/reference"
    assert json.loads((docs / "linegate.schema.json").read_text()) == schema(), "run .ci/reference"
    made = json.loads(json.dumps(provisioning()))
    assert json.loads((root / "terraform" / "defaults.json").read_text()) == made, "run .ci/reference"


def every_key() -> set[str]:
    """Paths of all keys, with NAME for what a person names."""
    return {f"{path.replace('[]', '')}.{key}".lstrip(".") for path, model in models() for key in model["properties"]}


def key_paths(value: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The same of what a file says."""
    if isinstance(value, list):
        return {found for item in value for found in key_paths(item, path)}
    if not isinstance(value, dict):
        return set()
    named = path in (("recipes",), ("lines",), ("targets",), ("recipes", "NAME", "classes"))
    found: set[tuple[str, ...]] = set()
    for key, item in value.items():
        here = (*path, "NAME" if named else key)
        found |= {here} | key_paths(item, here)
    return found


SERVICES = """
roboflow: {workspace: plant, api_key: "${ROBOFLOW_API_KEY}"}
gemini: {api_key: "${GEMINI_API_KEY}"}
recipes: {pcb: {detector: roboflow, verifier: gemini, workflow: {id: pcb-inspection}}}
lines: {smt-1: {recipe: pcb}}
"""


def test_keys_come_from_the_environment_and_are_never_shown() -> None:
    settings = read(SERVICES, ROBOFLOW_API_KEY="rf-key", GEMINI_API_KEY="gm-key")
    assert settings.roboflow is not None
    assert settings.roboflow.api_key is not None
    assert settings.roboflow.api_key.get_secret_value() == "rf-key"
    assert settings.roboflow.longest_side == 1024
    assert "rf-key" not in repr(settings)
    assert "gm-key" not in str(settings)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "recipes: {pcb: {detector: roboflow, verifier: none, workflow: {id: x}}}",
            "detector: 'roboflow' needs the section roboflow",
        ),
        (
            "recipes: {pcb: {detector: roboflow, verifier: none}}\nroboflow: {workspace: w}",
            "workflow: is required by detector",
        ),
        ("recipes: {pcb: {verifier: gemini, golden: g}}", "verifier: 'gemini' needs the section gemini"),
        (
            "recipes: {pcb: {verifier: workflow, golden: g}}",
            "verifier: 'workflow' reads the answer of detector 'roboflow'",
        ),
        (
            "recipes: {pcb: {golden: g, ignore: [{left: 0.5, top: 0, right: 0.2, bottom: 1}]}}",
            "ignore.0: left must be smaller",
        ),
        (
            "recipes: {pcb: {verifier: gemini, golden: g, deadline_s: 20, check_budget_s: 20}}\ngemini: {project: p}",
            "check_budget_s: must be shorter than deadline_s (20), not 20",
        ),
    ],
)
def test_what_a_recipe_lacks_is_named(text: str, fault: str) -> None:
    assert any(f"recipes.pcb.{fault}" in found for found in faults(text + "\nlines: {a: {recipe: pcb}}")), faults(text)


WEBHOOK = f"targets: {{{{hmi: {{{{url: '{{}}', secrets: [{SECRET}]}}}}}}}}"


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("gemini: {model: m}", "gemini: needs either api_key (Gemini API) or project (Vertex AI)"),
        ("gemini: {api_key: k, project: p}", "gemini: needs either api_key (Gemini API) or project (Vertex AI)"),
        (
            "gemini: {api_key: 12345}",
            "gemini.api_key: must be text; YAML takes what stands there for a number",
        ),
        ("roboflow: {workspace: a/b}", "roboflow.workspace: must be one part of an address"),
        ("cloud: {project: My_Plant}", "cloud.project: must be a project's id"),
        ("cloud: {project: my-plant, prefix: a-prefix-too-long}", "cloud.prefix: may hold lower-case letters"),
        (
            "roboflow: {workspace: w, api_url: serverless.roboflow.com}",
            "roboflow.api_url: must be an http:// or https:// address",
        ),
        ("network: {private_addresses: [10.0.0.1/8]}", "network.private_addresses.0: must be an address or a network"),
        ("storage: {picture_url: 'https://x/'}", "storage.picture_url: must hold {name}"),
        (
            WEBHOOK.format("http://10.1.2.3/"),
            "targets.hmi.url: 10.1.2.3 is a private address; allow it",
        ),
        (
            WEBHOOK.format("http://8.8.8.8/"),
            "targets.hmi.url: 8.8.8.8 is a public address; nothing is sent there without encryption",
        ),
        (
            WEBHOOK.format("http://localhost:99/"),
            "targets.hmi.url: 127.0.0.1 is a private address",
        ),
        (WEBHOOK.format("http://2130706433/"), "targets.hmi.url: 127.0.0.1 is a private address"),
        (WEBHOOK.format("https://0x7f.1/"), "targets.hmi.url: 127.0.0.1 is a private address"),
        (WEBHOOK.format("https://[64:ff9b::a00:1]/"), "targets.hmi.url: 10.0.0.1 is a private address"),
        (WEBHOOK.format("http://x.localhost./"), "targets.hmi.url: 127.0.0.1 is a private address"),
        (WEBHOOK.format("http://hmi.plant.example/"), "targets.hmi.url: http:// is for private networks only"),
        ("targets: {hmi: {url: 'https://hmi/'}}", "targets.hmi.secrets: is required, to sign with"),
        (
            "targets: {hmi: {type: teams, url: 'https://hmi/'}}",
            "targets.hmi.type: is 'teams'; allowed: webhook, slack, ",
        ),
    ],
)
def test_faults_of_the_services_are_named_without_their_secrets(section: str, fault: str) -> None:
    found = faults(f"recipes: {{pcb: {{golden: g}}}}\nlines: {{a: {{recipe: pcb}}}}\n{section}")
    assert any(text.startswith(fault) for text in found), found
    assert "12345" not in str(found)


def test_a_slack_target_needs_no_secret() -> None:
    text = "recipes: {pcb: {golden: g}}\nlines: {a: {recipe: pcb}}\ntargets: {s: {type: slack, url: 'https://hooks.slack.com/x'}}"
    assert read(text).targets["s"].type == "slack"


def test_a_function_does_without_the_secrets_of_the_others() -> None:
    text = SERVICES + 'targets: {hmi: {url: "https://hmi/", secrets: ["${HMI}"]}, s: {type: slack, url: "${SLACK}"}}'
    settings = parse(text, Path(), {"ROBOFLOW_API_KEY": "rf"}, elsewhere=["GEMINI_API_KEY", "HMI", "SLACK"])
    assert settings.roboflow is not None
    assert settings.roboflow.api_key is not None
    assert settings.roboflow.api_key.get_secret_value() == "rf"
    with pytest.raises(ConfigError, match=r"targets\.hmi\.secrets\.0: the environment variable HMI is not set"):
        parse(text, Path(), {"ROBOFLOW_API_KEY": "rf"}, elsewhere=["GEMINI_API_KEY", "SLACK"])


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_environments_of_terraform_are_valid_configurations(environment: str) -> None:
    path = Path(__file__).parents[2] / "terraform" / "envs" / f"{environment}.yaml"
    secrets = {
        "ROBOFLOW_API_KEY": "r",
        "GEMINI_API_KEY": "g",
        "HMI_SECRET": SECRET,
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/x",
    }
    settings = load(path, secrets)
    assert settings.cloud is not None
    assert settings.cloud.project == f"my-plant-{environment}"
