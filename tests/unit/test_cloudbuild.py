"""cloudbuild.yaml: images of one exact version, and steps that call only what their image holds or an earlier step brought."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
STEPS: Final[list[dict[str, Any]]] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["steps"]
TOOLS: Final = "/workspace/.tools"

COREUTILS: Final = {"cat", "cp", "date", "dirname", "ls", "mkdir", "mktemp", "rm", "seq", "sleep"}
DEBIAN: Final = COREUTILS | {"apt-get", "bash", "grep", "ldconfig", "sed", "sh", "xargs"}
# What each image has that a script may call, from the Dockerfiles they are made of:
#   google-cloud-cli, emulators: GoogleCloudPlatform/cloud-sdk-docker, emulators/Dockerfile. Debian slim with curl, python3
#     (neither pip nor venv), Java and gcloud; neither git nor unzip.
#   uv: astral-sh/uv on debian:*-slim, binaries in /usr/local/bin.
#   terraform: Alpine with the binary, which is its entrypoint.
IMAGES: Final = {
    "gcr.io/google.com/cloudsdktool/google-cloud-cli": DEBIAN | {"curl", "python3", "java", "gcloud"},
    "astral/uv": DEBIAN | {"uv", "uvx"},
    "hashicorp/terraform": COREUTILS | {"grep", "sed", "sh", "terraform"},
}
SHELL: Final = {
    *("if", "then", "else", "elif", "fi", "for", "while", "do", "done", "!", "{", "}", "(", ")"),
    *(
        "set",
        "cd",
        "exit",
        "export",
        "printf",
        "echo",
        "command",
        "[",
        "]",
        "true",
        "false",
        ":",
        "test",
        "local",
        "read",
    ),
}
# Our own, and what is called only where it is found
OURS: Final = {".ci/requirements", "../shared/terraform/check"}
each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step["id"])


def commands(script: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell script; what stands in $(…) by itself."""
    script = re.sub(r"(^|\s)#.*", r"\1", script)
    for inner in re.findall(r"\$\(([^()]*)\)", script):
        yield from commands(inner)
    script = re.sub(r"\$\([^()]*\)", "SUBSTITUTED", script)
    script = re.sub(r"\d*>(&\d|\S+)", "", script).replace("\n", " ; ")
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set(";&|()"):
            words.append(word)
            continue
        while words and (words[0] in ("if", "then", "else", "do", "!", "{", "while") or re.match(r"\w+=", words[0])):
            words.pop(0)
        if words:
            yield words
        words = []


def image(step: dict[str, Any]) -> tuple[str, str]:
    name, _, tag = step["name"].partition(":")
    return name, tag


def scripts(step: dict[str, Any]) -> Iterator[str]:
    """The script of a step, and of our own that it runs."""
    if step.get("entrypoint") in ("sh", "bash"):
        script = step["args"][1].replace("$$", "$")
        yield script
        for called in re.findall(r"bash (\.ci/\w+)", script):
            yield (ROOT / called).read_text()


@each_step
def test_an_image_is_of_one_exact_version(step: dict[str, Any]) -> None:
    name, tag = image(step)
    assert name in IMAGES
    assert re.match(r"\d+\.\d+\.\d+(-[a-z-]+)?$", tag) or "@sha256:" in tag


@each_step
def test_a_step_calls_only_what_its_image_has(step: dict[str, Any]) -> None:
    here = IMAGES[image(step)[0]]
    brought = {"uv", "uvx"} if step is not STEPS[0] else set()
    for script in scripts(step):
        functions = set(re.findall(r"(\w+)\(\) \{", script))
        called = [words for words in commands(script) if not words[0].startswith(("$", "SUBSTITUTED"))]
        lacking = {words[0] for words in called} - SHELL - OURS - functions - here
        assert lacking <= brought
        assert not lacking or f"PATH={TOOLS}:" in step["args"][1]
        assert not any("venv" in words or "ensurepip" in words for words in called if words[0] == "python3")


def test_the_first_step_brings_uv_to_the_others() -> None:
    first, *_ = STEPS
    (copied,) = (words for words in commands(first["args"][1]) if words[0] == "cp")
    assert copied == ["cp", "/usr/local/bin/uv", "/usr/local/bin/uvx", TOOLS]


def test_what_is_not_to_be_applied_ends_with_the_plan() -> None:
    after = STEPS[[step["id"] for step in STEPS].index("plan") + 1 :]
    assert after
    assert all("[ ${_APPLY} = true ]" in str(step["args"]) for step in after)
