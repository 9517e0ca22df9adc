"""`mdn denoise` on single pictures: HDR photos keep their curve, clean ones their file."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.commands.denoise import run
from mdn.encoding import Rec2100
from mdn.image import Image, Metadata
from mdn.io.base import memory_limit
from mdn.jobs import compute_slots
from mdn.jobs.job import Job, Unheard
from mdn.renders import RenderOptions
from tests.commands.tools import request
from tests.io.raw.mosaic import mosaic, write_dng
from tests.jobs.test_running import Recorder


def test_a_photo_in_pq_is_denoised_as_light_and_keeps_its_tags(tmp_path: Path) -> None:
    """The noise that is found is that of the picture as shown, paper being white."""
    rng = np.random.default_rng(0)
    shown = np.linspace(0.2, 0.9, 96 * 96 * 3).reshape(96, 96, 3)
    noisy = (shown + rng.normal(0, 20 / 255, shown.shape)).astype(np.float32)
    coding = Rec2100(np.dtype(np.uint16), "pq")
    image = Image(coding.decode(noisy)[None], None, Metadata(cicp=(9, 16), bits=10))
    io.write_image(image, tmp_path / "a.jxl")
    job = Job(tmp_path / "a.jxl", tmp_path / "b.jxl", "a.jxl")
    result = run([job], request(device="cpu"), Unheard())
    details = result.outcomes[0].details
    assert details["changed"] is True
    assert abs(details["noise"]["sigma"] - 20) < 6
    after = io.read_image(tmp_path / "b.jxl")
    assert (after.meta.cicp, after.meta.bits) == ((9, 16), 10)
    error = np.abs(coding.encode(after.pixels[0]) - shown).mean()
    assert error < 0.5 * np.abs(noisy - shown).mean()


def test_strength_0_copies_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    io.write_image(Image(np.full((1, 32, 32, 3), 90, np.uint8)), path, quality=50)
    job = Job(path, tmp_path / "b.jpg", "a.jpg")
    result = run([job], request(device="cpu", strength=0.0), Unheard())
    assert result.outcomes[0].details["changed"] is False
    assert (tmp_path / "b.jpg").read_bytes() == path.read_bytes()


def test_an_option_for_renders_does_nothing_to_a_photo_and_says_so(tmp_path: Path) -> None:
    io.write_image(Image(np.full((1, 32, 32, 3), 90, np.uint8)), tmp_path / "a.png")
    job, report = Job(tmp_path / "a.png", tmp_path / "b.png", "a.png"), Recorder()
    asked = request(strength=0.0, renders=RenderOptions(keep_sums=True))
    assert run([job], asked, report).exit_code == 0
    assert ("note", "--keep-sums is for EXR files and does nothing here") in report.events


def test_a_raw_file_is_copied_only_as_a_dng(tmp_path: Path) -> None:
    """One of another kind becomes a TIFF or a DNG, though nothing is changed in it."""
    pytest.importorskip("rawpy")
    light = np.broadcast_to(np.array([0.4, 0.5, 0.3]), (32, 48, 3))
    dng = write_dng(tmp_path / "a.dng", mosaic(light))
    nef = Path(shutil.copy(dng, tmp_path / "a.nef"))
    cases = ((dng, "b.dng", True), (nef, "c.dng", False), (nef, "d.tif", False))
    for source, target, copied in cases:
        job = Job(source, tmp_path / target, source.name)
        run([job], request(device="cpu", strength=0.0), Unheard())
        assert ((tmp_path / target).read_bytes() == source.read_bytes()) is copied


def test_files_that_overlap_come_out_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged one and one too large to be held beside others among them."""
    room = 3 * 60 * 32 * 3
    monkeypatch.setattr(compute_slots, "memory_limit", lambda _, cap: memory_limit(room, cap))
    rng = np.random.default_rng(0)
    sources = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(sources):
        side = 96 if number == 3 else 40
        io.write_image(Image(rng.integers(0, 255, (1, side, 32, 3), np.uint8)), path)
    sources[1].write_bytes(sources[1].read_bytes()[:60])
    found = {}
    for way in ("one by one", "overlapping"):
        jobs = [Job(path, tmp_path / way / path.name, path.name) for path in sources]
        capped = 2**33 if way == "one by one" else None
        result = run(jobs, request("unittest", max_memory=capped), Unheard())
        assert [each.status for each in result.outcomes] == ["ok", "failed", "ok", "ok", "ok"]
        found[way] = [job.target.read_bytes() for job in jobs if job.target and job.target.exists()]
    assert (len(found["overlapping"]), found["overlapping"]) == (4, found["one by one"])


def test_floats_that_take_another_number_for_white_are_named(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(120, 20, (1, 32, 32, 3)).astype(np.float32)
    io.write_image(Image(page), tmp_path / "a.tif")
    report = Recorder()
    job = Job(tmp_path / "a.tif", tmp_path / "b.tif", "a.tif")
    assert run([job], request(device="cpu"), report).exit_code == 0
    assert "taken for white" in str(report.events)
