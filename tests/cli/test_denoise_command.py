"""`mdn denoise` from end to end, with a tiny random net."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mdn import io
from tests.cli.cli_tools import MODEL, Make, Run, child_environment, process


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_one_photo(run: Run, make: Make, tmp_path: Path) -> None:
    source = make("a.png", np.uint16, alpha=True)
    before = source.read_bytes()
    result = run("denoise", "a.png", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("a.png -> a_denoised.png  ")
    assert result.stderr.endswith(" s\n")
    clean, noisy = io.read_image(tmp_path / "a_denoised.png"), io.read_image(source)
    assert (clean.pixels.shape, clean.pixels.dtype) == (noisy.pixels.shape, np.uint16)
    assert not np.array_equal(clean.pixels, noisy.pixels)
    assert clean.alpha is not None
    assert noisy.alpha is not None
    assert np.array_equal(clean.alpha, noisy.alpha)
    assert source.read_bytes() == before


def test_a_tree_is_mirrored(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    make("in/deep/b.png")
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    result = run("denoise", "in", "-r", "-o", "out", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "out") == ["a.png", "deep/b.png", "mdn-manifest.jsonl"]
    assert result.stderr.splitlines()[-1].startswith("2 files: 2 done  ")


def test_a_second_run_leaves_former_outputs_out(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    assert run("denoise", "in", *MODEL).exit_code == 0
    again = run("denoise", "in", "--skip-existing", *MODEL)
    assert again.exit_code == 0
    assert "mdn: note: in: left out 1 file: written by an earlier run" in again.stderr
    assert "in/a.png: skipped, in/a_denoised.png exists" in again.stderr
    assert files(tmp_path / "in") == ["a.png", "a_denoised.png", "mdn-manifest.jsonl"]


def test_a_change_of_format_warns_of_what_is_lost(run: Run, make: Make, tmp_path: Path) -> None:
    make("a.png", np.uint16, alpha=True)
    result = run("denoise", "a.png", "-o", "a.jpg", "--jpeg-quality", "90", *MODEL)
    assert result.exit_code == 0, result.stderr
    (warning,) = [line for line in result.stderr.splitlines() if "warning" in line]
    assert warning.startswith("mdn: warning: a.png: JPEG cannot keep ")
    assert "alpha" in warning
    assert "16-bit" in warning
    assert (tmp_path / "a.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize(("quality", "copied"), [((), True), (("--jpeg-quality", "95"), False)])
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_an_unchanged_file_is_copied_unless_its_quality_is_asked_for(
    run: Run, make: Make, name: str, quality: tuple[str, ...], copied: bool
) -> None:
    source = make(name)
    assert (
        run("denoise", name, "-o", f"b{name}", "--strength", "0", *quality, *MODEL).exit_code == 0
    )
    same = source.with_name(f"b{name}").read_bytes() == source.read_bytes()
    # PNG has no quality. The JPEG was written by mdn at 95: coding it again changes its samples.
    assert same is (copied or name == "a.png")


def test_json_carries_the_warnings(run: Run, make: Make) -> None:
    make("a.png", alpha=True)
    result = run("denoise", "a.png", "-o", "a.jpg", "--json", "-q", *MODEL)
    (entry,) = json.loads(result.stdout)["files"]
    assert "alpha" in entry["warnings"][0]
    assert result.stderr == ""


def test_quiet_prints_errors_only(run: Run, make: Make) -> None:
    make("a.png", alpha=True)
    result = run("denoise", "a.png", "gone.png", "-o", "{stem}.jpg", "-q", *MODEL)
    assert result.exit_code == 3
    assert result.stderr == "mdn: error: gone.png: no such file; check the name\n"


def test_dry_run_writes_nothing(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    make("in/b.png")
    before = files(tmp_path)
    result = run("denoise", "in", "-o", "new/", "--dry-run", *MODEL)
    assert result.exit_code == 0
    assert result.stdout == "in/a.png -> new/a.png\nin/b.png -> new/b.png\n"
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_name_cannot_forge_a_line(run: Run, make: Make, tmp_path: Path) -> None:
    make("a\nmdn: error: \x1b[31mforged.png")
    result = run("denoise", ".", *MODEL)
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1)
    assert "\x1b" not in result.stderr
    assert r"a\nmdn" in result.stderr


def test_stdin_to_stdout(make: Make, tmp_path: Path) -> None:
    data = make("a.png", np.uint16).read_bytes()
    done = process("denoise", "-", *MODEL, cwd=tmp_path, input=data)
    assert done.returncode == 0, done.stderr
    image = io.read_image(done.stdout)
    shape = image.pixels.shape[1:3]
    assert (image.format, image.pixels.dtype, shape) == ("png", np.uint16, (20, 23))
    assert done.stderr.startswith(b"stdin -> stdout  ")
    assert files(tmp_path) == ["a.png"]


def test_stdout_follows_the_format_asked_for(run: Run, make: Make) -> None:
    make("a.png")
    result = run("denoise", "a.png", "-o", "-", "--format", "bmp", *MODEL)
    assert result.stdout_bytes[:2] == b"BM"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "-o", "-", "--json"], "both want standard output"),
        (["a.png", "a.png", "b.png", "-o", "-"], "one image"),
        (["a.png", "--overwrite", "--skip-existing"], "exclude each other"),
        (["a.png", "-o", "a.png", "--overwrite"], "also an input"),
        (["a.png", "-o", "b.png"], "b.png exists already"),
        (["a.png", "-o", "x.xyz"], "x.xyz"),
        (["a.png", "-o", "clean"], "for a folder write clean/"),
        (["a.png", "--format", "gif"], "gif"),
        (["a.png", "--max-memory", "lots"], "lots"),
    ],
)
def test_requests_that_cannot_be_met(
    run: Run, make: Make, tmp_path: Path, arguments: list[str], words: str
) -> None:
    make("a.png")
    make("b.png")
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    result = run("denoise", *arguments, *MODEL)
    assert result.exit_code == 2
    assert result.stderr.startswith("mdn: error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_a_bad_file_is_one_line_and_no_output(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    result = run("denoise", "bad.png", *MODEL)
    assert result.exit_code == 4
    assert result.stderr.startswith("mdn: error: bad.png: ")
    assert (result.stderr.count("\n"), files(tmp_path)) == (1, ["bad.png"])


def test_a_batch_goes_on_and_fail_fast_does_not(run: Run, make: Make, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"x")
    make("good.png")
    stopped = run("denoise", "bad.png", "good.png", "--fail-fast", *MODEL)
    assert stopped.exit_code == 4
    assert "1 failed, 1 not tried" in stopped.stderr
    assert not (tmp_path / "good_denoised.png").exists()
    result = run("denoise", "bad.png", "good.png", *MODEL)
    assert result.exit_code == 3
    assert "2 files: 1 done, 1 failed" in result.stderr
    assert (tmp_path / "good_denoised.png").exists()


def test_a_missing_model(run: Run, make: Make) -> None:
    make("a.png")
    result = run("denoise", "a.png", "--model", "unitest")
    assert result.exit_code == 6
    assert "unittest" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_damaged_model(run: Run, make: Make, tmp_path: Path) -> None:
    from mdn.registry import store

    folder = tmp_path / "home" / "models" / "mine"
    shutil.copytree(store.find("unittest").folder, folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    make("a.png")
    result = run("denoise", "a.png", "--model", "mine")
    assert result.exit_code == 6
    assert not (tmp_path / "a_denoised.png").exists()


def test_debug_shows_where_a_file_of_a_batch_failed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for arguments in (["--debug", "denoise", "a.png"], ["denoise", "a.png", "--debug"]):
        result = run(*arguments, *MODEL)
        assert result.exit_code == 4
        assert "Traceback" in result.stderr
        assert "mdn: error: a.png: is not a picture" in result.stderr


def test_too_little_memory_is_refused(run: Run, make: Make) -> None:
    make("a.png")
    result = run("denoise", "a.png", "--max-memory", "1K", *MODEL)
    assert result.exit_code == 5
    assert "--max-memory" in result.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_leaves_nothing(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make("a.png")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    result = run("denoise", "a.png", "-o", "new/out.png", *MODEL)
    assert result.exit_code == 4
    assert "out.png" in result.stderr
    assert (result.stderr.count("\n"), files(tmp_path)) == (1, ["a.png"])
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output(make: Make, tmp_path: Path) -> None:
    make("a.png")
    with Path("/dev/full").open("wb") as full:
        done = process("denoise", "a.png", "-o", "-", *MODEL, cwd=tmp_path, stdout=full)
    told = b"mdn: error: stdout: the disk is full; free some space, or write elsewhere with -o\n"
    assert (done.returncode, done.stderr) == (4, told)


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
from mdn.pipeline.in_memory import Treatment
def restore(*_):
    open("started", "w").close()
    time.sleep(60)
Treatment.restore = restore
from mdn.cli.app import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_and_leaves_nothing(
    make: Make, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    make("a.png")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "denoise", "a.png", "-o", "new/b.png", "--json", *MODEL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=child_environment(),
    ) as child:
        while not (tmp_path / "started").exists():
            assert child.poll() is None, child.communicate()
            time.sleep(0.1)
        child.send_signal(number)
        printed, errors = child.communicate(timeout=120)
        assert child.returncode == code
    assert errors == (b"mdn: interrupted\n" if number == signal.SIGINT else b"")
    found = json.loads(printed)
    assert (found["command"], found["exit_code"]) == ("denoise", code)
    assert files(tmp_path) == ["a.png", "started"]
    assert not (tmp_path / "new").exists()
