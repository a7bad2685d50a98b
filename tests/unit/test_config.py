"""Configuration: every fault at once, in words of the file."""

from pathlib import Path

import pytest

from linegate.config import Settings, load, parse
from linegate.edge.starting import write_configuration
from linegate.errors import ConfigError
from linegate.inspection import Verdict

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
    assert read(GOOD, HMI_SECRET=SECRET).targets["all"].secrets == [SECRET]


def test_a_target_hears_of_its_lines_and_of_unknown_ones_only_if_it_named_none() -> None:
    settings = read(GOOD, HMI_SECRET=SECRET)
    assert settings.subscribed("smt-1") == {"all": list(Verdict)}
    assert settings.subscribed("smt-2") == {"all": list(Verdict), "one": [Verdict.FAIL]}
    assert settings.subscribed("nowhere") == {"all": list(Verdict)}


def test_all_faults_are_reported_at_once_with_their_path_and_what_is_allowed() -> None:
    found = faults(
        """
recipes:
  pcb: {detector: yolo, confidence: 2, golden: g.png, colour: red}
lines:
  smt-1: {recipe: pcb2}
  a b: {recipe: pcb}
targets:
  hmi: {url: "ftp://x", secrets: [whsec_aaaa, "${NOPE}"], verdicts: [FAIL, BAD], lines: [smt-9]}
edge: {settle_ms: soon}
cameras: 2
"""
    )
    for expected in (
        "recipes.pcb.detector: is 'yolo'; allowed: golden or roboflow",
        "recipes.pcb.confidence: input should be less than or equal to 1, not 2",
        "recipes.pcb.colour: is not known here; allowed: detector, verifier, workflow, golden",
        "lines.smt-1.recipe: no recipe named 'pcb2'; there is 'pcb'",
        "lines.a b: may hold letters",
        "targets.hmi.url: must be an http:// or https:// address",
        "targets.hmi.secrets.0: must hold 24 to 64 bytes, this one holds 3",
        "targets.hmi.secrets.1: the environment variable NOPE is not set",
        "targets.hmi.verdicts.1: is 'BAD'; allowed: PASS, FAIL, REVIEW or ERROR",
        "targets.hmi.lines: no line named 'smt-9'; there is 'smt-1', 'a b'",
        "edge.settle_ms: input should be a valid integer",
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
        ("recipes: {pcb: {}}\nlines: {a: {recipe: pcb}}", "recipes.pcb.golden: is required by detector and verifier"),
        ("recipes: {pcb: {golden: a}}\nlines: {a: {recipe: pcb}, a: {recipe: pcb}}", "a: given twice (line 2)"),
        ("recipes: {pcb: {golden: !!python/name:os.system x}}\nlines: {a: {recipe: pcb}}", "is not YAML"),
        ("recipes: []\nlines: 3\ntargets: x", "lines: "),
        ("recipes: {pcb: {golden: a}}\nlines: {a: pcb}", "lines.a: "),
        ("folder: /\nrecipes: {pcb: {golden: a}}\nlines: {a: {recipe: pcb}}", "folder: is not known here"),
    ],
)
def test_broken_files_are_named_by_their_fault(text: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(text)), faults(text)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="linegate init"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_no_text_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "linegate.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "linegate.yaml")


def test_the_file_that_init_writes_is_valid_and_its_commented_target_too(tmp_path: Path) -> None:
    path = tmp_path / "linegate.yaml"
    write_configuration(path)
    assert load(path, {}).data == tmp_path / "linegate-data"
    text = path.read_text().replace("targets: {}\n", "")
    head, commented = text.split("# targets:")
    path.write_text(head + "targets:" + commented.replace("\n#", "\n"))
    assert load(path, {}).targets["hmi-1"].lines == ["smt-1"]
