"""One wheel, with the models inside, that works without the checkout."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MOST = 60 * 10**6  # bytes


def test_the_wheel_works_by_itself(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < MOST
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    noisy = np.random.default_rng(0).normal(120, 30, (48, 56, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "a.png")
    code = "import mdn, sys; from mdn.__main__ import main; print(mdn.__file__); sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "denoise", "a.png", "-o", "b.png"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]).is_relative_to(tmp_path / "site")
    clean = np.asarray(Image.open(tmp_path / "b.png")).astype(float)
    assert clean.std() < 0.3 * noisy.std()


def test_modules_import_at_once_what_a_plain_install_brings() -> None:
    """What an extra brings is imported in the function that needs it, and can say so."""
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"[<>=\[ ]", line)[0].lower() for line in facts["dependencies"]}
    brought = {IMPORTED_AS.get(name, name) for name in brought} | set(sys.stdlib_module_names)
    missing = set()
    for path in (ROOT / "mdn").rglob("*.py"):
        for node in _at_once(ast.parse(path.read_text()).body):
            names = [one.name for one in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = {name.split(".")[0].lower() for name in names} - brought - {"mdn"}
            missing |= {f"{path.relative_to(ROOT)}: {root}" for root in roots}
    assert not missing


IMPORTED_AS = {"pillow": "pil", "tomli-w": "tomli_w"}


def _at_once(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is: not those of functions, nor for types alone."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _at_once(getattr(node, block, []))
