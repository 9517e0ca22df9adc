"""What is beside the package for other programs: the darktable script, the container."""

import os
import re
import shutil
import subprocess
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mdn
from mdn import errors
from tests.docs.pages import ROOT

SCRIPT = ROOT / "contrib" / "darktable" / "mdn.lua"
INSTALL = ROOT / "contrib" / "container" / "install.sh"
CONDA_RECIPE = ROOT / "contrib" / "conda" / "meta.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CONDA = {"torch": "pytorch", "openexr": "openexr-python"}  # what conda-forge calls them


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
    (extras,) = re.findall(r"source\[([\w,]+)\]", INSTALL.read_text())
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert f"RUN {INSTALL.relative_to(ROOT)} " in DOCKERFILE


@pytest.mark.slow
def test_the_steps_of_the_container_make_an_environment_that_works(tmp_path: Path) -> None:
    """Without a container: what it holds is what the script installs."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    around = {key: value for key, value in os.environ.items() if key not in hidden}
    run = partial(subprocess.run, cwd=tmp_path, env=around, text=True, capture_output=True)
    done = run([str(INSTALL), str(tmp_path / "mdn")], check=False)
    assert done.returncode == 0, done.stderr
    noisy = np.random.default_rng(0).normal(120, 30, (48, 56, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "a.png")
    done = run([tmp_path / "mdn/bin/mdn", "denoise", "a.png", "-o", "b.png"], check=False)
    assert done.returncode == 0, done.stderr
    assert np.asarray(Image.open(tmp_path / "b.png")).std() < 0.3 * noisy.std()


def conda_recipe() -> dict[str, Any]:
    """The recipe as conda-build renders it, which searches files without flags of `re`."""
    jinja2, yaml = pytest.importorskip("jinja2"), pytest.importorskip("yaml")

    def load_file_regex(
        load_file: str, regex_pattern: str, from_recipe_dir: bool
    ) -> re.Match[str] | None:
        assert from_recipe_dir
        return re.search(regex_pattern, (CONDA_RECIPE.parent / load_file).read_text())

    template = jinja2.Template(CONDA_RECIPE.read_text())
    recipe: dict[str, Any] = yaml.safe_load(
        template.render(load_file_regex=load_file_regex, PYTHON="python")
    )
    return recipe


def test_the_conda_recipe_needs_what_the_project_needs() -> None:
    """Also in the same versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [re.match(r"([\w-]+)(.+)", each.lower()) for each in project["dependencies"]]
    pairs = [(CONDA.get(each[1], each[1]), each[2]) for each in needed if each]
    expected = {f"{name} {version}" for name, version in pairs}
    requirements = conda_recipe()["requirements"]
    assert set(requirements["run"]) == expected | {f"python {project['requires-python']}"}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert set(build) <= set(requirements["host"])


def test_the_conda_recipe_takes_the_source_distribution_of_this_version() -> None:
    recipe, source = conda_recipe(), f"dist/mdn-{mdn.__version__}.tar.gz"
    assert recipe["package"]["version"] == mdn.__version__
    assert (CONDA_RECIPE.parent / recipe["source"]["url"]).resolve() == ROOT / source
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    points = [f"{name} = {place}" for name, place in scripts.items()]
    assert recipe["build"]["entry_points"] == points


def test_the_container_does_not_run_as_root() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.search(r"^USER (?!root|0)", last, re.M)
    assert 'ENTRYPOINT ["mdn"]' in last
