"""What is beside the package for other programs: the darktable script, the container."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

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


@pytest.mark.skipif(shutil.which("lua") is None, reason="needs lua")
@pytest.mark.parametrize("factor", [1, 256])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, ["imported: {}/it's_denoised.tif", "grouped", "said: mdn: 1 denoised"]),
        (4, ["said: mdn: it's.CR3: the file could not be denoised"]),
        (77, ["said: mdn: it's.CR3: exit code 77"]),
    ],
)
def test_the_darktable_script_tells_how_it_ended(
    code: int, expected: list[str], factor: int, tmp_path: Path
) -> None:
    """Against a stand-in; darktable gives exit codes as they are, or times 256."""
    exported, program = tmp_path / "exported.tif", tmp_path / "some mdn"
    exported.write_bytes(b"picture")
    program.write_text(f'#!/bin/sh\n[ {code} = 0 ] && cp "$2" "$4"\nexit {code}\n')
    program.chmod(0o755)
    stub = Path(__file__).with_name("darktable_stub.lua")
    words = ["lua", stub, SCRIPT, program, tmp_path, str(factor)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    told = done.stdout.splitlines()
    assert told == ["said: mdn: 1 of 1 exported", *(line.format(tmp_path) for line in expected)]
    assert not exported.exists()
    assert (tmp_path / "it's_denoised.tif").exists() is (code == 0)


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
