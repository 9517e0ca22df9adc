"""--resume, --from-file, --shard; runs that share a folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdn.jobs import manifest
from mdn.jobs.job import Job
from tests.cli.cli_tools import MODEL, Make, Run, child_environment


def batch(run: Run, *arguments: str) -> dict:
    """Runs a batch from in/ to out/; its JSON document."""
    result = run("denoise", "in", "-o", "out", "--json", *arguments, *MODEL)
    return json.loads(result.stdout)


def statuses(document: dict) -> list[str]:
    return [file["status"] for file in document["files"]]


def test_resume_does_what_is_new_changed_or_lost(run: Run, make: Make, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        make(name)
    assert statuses(batch(run)) == ["ok"] * 3
    assert statuses(batch(run, "--resume")) == ["skipped"] * 3
    make("in/b.png", side=30)
    (tmp_path / "out" / "c.png").unlink()
    make("in/d.png")
    assert statuses(batch(run, "--resume")) == ["skipped", "ok", "ok", "ok"]
    assert statuses(batch(run, "--resume", "--max-memory", "3G")) == ["skipped"] * 4
    assert statuses(batch(run, "--resume", "--strength", "0.5")) == ["ok"] * 4


def test_one_named_file_has_no_manifest_unless_it_is_to_resume(
    run: Run, make: Make, tmp_path: Path
) -> None:
    make("a.png")
    assert run("denoise", "a.png", "-o", "out/", *MODEL).exit_code == 0
    assert not manifest.read(tmp_path / "out").last
    assert run("denoise", "a.png", "-o", "new/", "--resume", *MODEL).exit_code == 0
    assert "skipped" in run("denoise", "a.png", "-o", "new/", "--resume", *MODEL).stderr


def test_a_list_may_hold_any_name_and_keeps_its_folders(
    run: Run, make: Make, tmp_path: Path
) -> None:
    names = ["in/x/a.png", "in/y/a.png", "in/[1].png", "in/new\nline \N{SNOWMAN}.png"]
    for name in names:
        make(name)
    (tmp_path / "list").write_bytes(b"\0".join(os.fsencode(name) for name in names) + b"\0")
    result = run("denoise", "--from-file", "list", "-o", "out", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert all((tmp_path / "out" / name).is_file() for name in names)
    absolute = str(tmp_path / "in" / "x" / "a.png").encode()
    result = run("denoise", "--from-file", "-", "-o", "flat", *MODEL, input=absolute + b"\n\n")
    assert (tmp_path / "flat" / "a.png").is_file(), result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no input"),
        (["--from-file", "gone"], "gone: no such file"),
        (["--from-file", "empty"], "holds no names"),
        (["--from-file", "a.png"], "is a picture; name it without --from-file"),
        (["--from-file", "a.bmp"], "is a picture; name it without --from-file"),
        (["-", "a.png"], "standard input has no name"),
        (["-", "-o", "out/"], "give -o FILE, or -o - for standard output"),
        (["f.####.exr", "--from-file", "list"], "a pattern of frames stands alone"),
        (["a.png", "--resume", "--overwrite"], "exclude each other"),
        ([".", "--shard", "3/2"], "of 2 shards they are 1/2 to 2/2"),
        ([".", "--shard", "0/0"], "there is no such shard; write 1/16"),
        ([".", "--shard", "auto"], "no job array"),
    ],
)
def test_requests_that_make_no_sense(
    run: Run, make: Make, tmp_path: Path, arguments: list[str], words: str
) -> None:
    make("a.png")
    make("a.bmp")
    (tmp_path / "empty").touch()
    (tmp_path / "f.0001.exr").touch()
    (tmp_path / "list").write_text("a.png")
    result = run("denoise", *arguments, *MODEL)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


def test_shards_share_the_work_and_a_dry_run_tells_what_is_missing(
    run: Run, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(8):
        make(f"in/{index}.png")
    first = batch(run, "--shard", "1/2")
    missing = batch(run, "--resume", "--dry-run")
    assert missing["totals"]["skipped"] == len(first["files"]) > 0
    assert missing["totals"]["planned"] == 8 - len(first["files"])
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "0")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    second = batch(run, "--shard", "auto")
    names = [file["input"] for file in first["files"] + second["files"]]
    assert sorted(names) == [f"in/{index}.png" for index in range(8)]
    assert first["files"]
    assert second["files"]
    # What shards did is done, too, for one process.
    assert statuses(batch(run, "--resume")) == ["skipped"] * 8


def test_a_share_without_files_is_no_failure(run: Run, make: Make) -> None:
    make("in/a.png")
    documents = [batch(run, "--shard", f"{index}/2") for index in (1, 2)]
    assert sorted(len(each["files"]) for each in documents) == [0, 1]
    assert [each["exit_code"] for each in documents] == [0, 0]


def test_a_dry_run_says_why_each_file_is_due(run: Run, make: Make, tmp_path: Path) -> None:
    for name in "abc":
        make(f"in/{name}.png")
    (tmp_path / "in" / "d.png").write_bytes(b"damaged")
    assert batch(run)["exit_code"] == 3
    (tmp_path / "out" / "b.png").unlink()
    make("in/c.png", side=30)
    make("in/e.png")
    result = run("denoise", "in", "-o", "out", "--resume", "--dry-run", *MODEL)
    assert result.exit_code == 0
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert lines.pop("in/d.png -> out/d.png").startswith("(failed: in/d.png: ")
    assert lines == {
        "in/b.png -> out/b.png": "(the result is gone)",
        "in/c.png -> out/c.png": "(the input has changed)",
        "in/e.png -> out/e.png": "(not done yet)",
    }


@pytest.mark.skipif(shutil.which("xargs") is None, reason="needs xargs")
def test_two_processes_share_a_folder_as_long_as_they_write_different_files(
    run: Run, make: Make, tmp_path: Path
) -> None:
    names = [str(make(f"in/{index}.png").relative_to(tmp_path)) for index in range(4)]
    command = [sys.executable, "-m", "mdn", "denoise", "-o", "out/", *MODEL]
    done = subprocess.run(
        ["xargs", "-P2", "-n2", *command],
        input="\n".join(names),
        text=True,
        capture_output=True,
        check=False,
        env=child_environment(),
    )
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
    entries = manifest.read(tmp_path / "out").good
    assert sorted(entries) == [f"{index}.png" for index in range(4)]
    assert statuses(batch(run, "--resume")) == ["skipped"] * 4


def test_the_first_of_two_runs_has_the_file_and_the_other_says_so(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("in/a.png")
    make("in/b.png")
    started = manifest.Recording.started

    def meanwhile(self: manifest.Recording, job: Job, index: int, total: int) -> None:
        started(self, job, index, total)
        if job.name == "in/a.png":
            monkeypatch.setattr(manifest.Recording, "started", started)
            assert batch(run)["exit_code"] == 0

    monkeypatch.setattr(manifest.Recording, "started", meanwhile)
    second = run("denoise", "in", "-o", "out", *MODEL)
    assert (second.exit_code, second.stderr.count("--overwrite")) == (4, 2)
    assert statuses(batch(run, "--resume")) == ["skipped"] * 2
