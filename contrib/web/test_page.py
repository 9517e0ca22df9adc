"""The page in a browser without a screen: `python -m pytest contrib/web`, after build.py.

Needs playwright and Chromium: pip install playwright; its own, or the system's.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api")

HERE = Path(__file__).parent
DIST = HERE / "dist"
pytestmark = pytest.mark.skipif(
    not (DIST / "remover.onnx").exists(), reason="python contrib/web/build.py makes the page"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, str(HERE / "serve.py"), str(DIST), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as play:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("Ready.").wait_for(timeout=120_000)
    yield page
    page.close()


def picture(width: int, height: int, sigma: float) -> tuple[np.ndarray, bytes]:
    """A soft scene as it should be, and as a PNG with noise."""
    y, x = np.mgrid[:height, :width]
    planes = [110 + 60 * np.sin(x / 37 + n) * np.cos(y / 51) + 20 * np.sin(x / 9) for n in range(3)]
    clean = np.stack(planes, -1)
    noisy = clean + sigma * np.random.default_rng(0).standard_normal(clean.shape)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(stream, "png")
    return clean, stream.getvalue()


def opened(page, data: bytes) -> str:
    page.locator("#file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": data}
    )
    status = page.locator("#status")
    deadline = time.monotonic() + 300
    while not re.match("Sigma|No noise|It did|a.png is", status.inner_text()):
        assert time.monotonic() < deadline, status.inner_text()
        time.sleep(0.1)
    return str(status.inner_text())


def saved(page) -> np.ndarray:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "a_denoised.png"
    return np.asarray(Image.open(download.value.path()).convert("RGB")).astype(float)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def test_a_picture_of_several_tiles_comes_back_without_noise(page) -> None:
    clean, data = picture(700, 530, 20)
    assert opened(page, data).startswith("Sigma ")
    result = saved(page)
    assert result.shape == clean.shape
    assert error(result, clean) < 4
    seam = np.abs(np.diff(result - clean, axis=1)).mean((0, 2))
    assert seam[511] < 3 * np.median(seam)


def test_the_slider_mixes(page) -> None:
    clean, data = picture(96, 80, 20)
    opened(page, data)
    page.locator("#strength").fill("0")
    noisy = np.asarray(Image.open(io.BytesIO(data))).astype(float)
    assert np.array_equal(saved(page), noisy)
    page.locator("#strength").fill("0.5")
    assert error(saved(page), clean) == pytest.approx(error(noisy, clean) / 2, rel=0.3)


def test_what_has_no_noise_stays(page) -> None:
    clean, data = picture(96, 80, 0)
    assert opened(page, data).startswith("No noise")
    assert np.array_equal(saved(page), clean.clip(0, 255).round())


def test_what_is_no_picture_is_named(page) -> None:
    assert opened(page, b"text") == "a.png is no picture that this browser can read."
