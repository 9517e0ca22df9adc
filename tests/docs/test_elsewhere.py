"""What is beside the package for other programs: the darktable script, the container."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest

from mdn import errors
from tests.docs.pages import ROOT

SCRIPT = ROOT / "contrib" / "darktable" / "mdn.lua"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.skipif(shutil.which("luac") is None, reason="needs luac")
def test_the_darktable_script_is_lua() -> None:
    done = subprocess.run(["luac", "-p", str(SCRIPT)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_darktable_script_knows_every_exit_code_of_a_batch() -> None:
    told = {int(code) for code in re.findall(r"^  \[(\d+)\] =", SCRIPT.read_text(), re.M)}
    codes = {each.exit_code for each in vars(errors).values() if hasattr(each, "exit_code")}
    assert codes <= told
    assert 127 in told


def test_the_container_is_built_from_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    names = [name for line in copied for name in line.split()]
    assert {"pyproject.toml", "mdn", "models"} <= set(names)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    for name in names:
        assert (ROOT / name).exists()
        assert name in let_in
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for needed in (project["readme"], *project["license-files"]):
        assert needed in names
    (extras,) = re.findall(r"\.\[([\w,]+)\]", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_container_does_not_run_as_root() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.search(r"^USER (?!root|0)", last, re.M)
    assert 'ENTRYPOINT ["mdn"]' in last
