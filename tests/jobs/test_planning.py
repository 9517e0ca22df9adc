"""Planning: what is read, what is written, what is refused before any work."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdn.errors import UsageError
from mdn.jobs import safeguards
from mdn.jobs.job import Job
from mdn.jobs.planning import plan

Touch = Callable[..., None]


@pytest.fixture
def touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Touch:
    """Makes empty files, and links as "to->name", below the working folder; none is ever read."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for name in names:
            target, _, link = name.rpartition("->")
            Path(link).parent.mkdir(parents=True, exist_ok=True)
            if target:
                os.symlink(target, link)
            else:
                Path(link).touch()

    return make


def problem(job: Job) -> str:
    assert job.problem is not None
    return str(job.problem)


# What is there beforehand (of "a -> b" b is a link to a), the inputs, what follows -o, options of
# `plan`, and the outputs, each behind its input where several names are in question.
PLANS: dict[str, tuple[str, str, str | None, dict[str, Any], str]] = {
    "beside it, its own suffix": ("deep/p.JPG", "deep/p.JPG", None, {}, "deep/p_denoised.JPG"),
    "dots": ("a.b.c.tif", "a.b.c.tif", None, {}, "a.b.c_denoised.tif"),
    "a file": ("a.png", "a.png", "b.jpg", {}, "b.jpg"),
    "a folder to be": ("in/a.png", "in/a.png", "out/", {}, "out/a.png"),
    "a folder": ("in/a.png there/x", "in/a.png", "there", {}, "there/a.png"),
    "several": ("a.png b.png", "a.png b.png", "clean", {}, "clean/a.png clean/b.png"),
    "fields": (
        "in/a.tif", "in/a.tif", "{parent}/x/{stem}_{name}{suffix}", {}, "in/x/a_a.tif.tif"
    ),
    "one dot": ("a.tif", "a.tif", "{stem}2.{suffix}", {}, "a2.tif"),
    "looks like a pattern": ("a[1].png", "a[1].png", None, {}, "a[1]_denoised.png"),
    "named, so taken": ("a_denoised.png",) * 2 + (None, {}, "a_denoised_denoised.png"),
    "standard input": ("", "-", "out.png", {}, "out.png"),
    "a filter": ("", "-", None, {}, "stdout"),
    "standard output": ("a.png", "a.png", "-", {}, "stdout"),
    "of no name": ("", "-", "out/", {"format": "png"}, "out/stdin.png"),
    "raw": ("a.NEF", "a.NEF", None, {}, "a_denoised.tif"),
    "raw stays raw": ("a.NEF", "a.NEF", "out.dng", {}, "out.dng"),
    "raw on request": ("a.NEF", "a.NEF", "out/", {"format": "dng"}, "out/a.dng"),
    "raw in a folder": ("in/a.nef in/b.jpg", "in", "out/", {}, "out/b.jpg"),
    "raw in a pattern": ("in/a.nef in/b.jpg", "in/*", "out/", {}, "out/b.jpg"),
    "raw by a pattern": ("in/a.nef in/b.jpg", "in/*.nef", "out/", {}, "out/a.tif"),
    "a spelling stays": (
        "a.jpg b.tif", "a.jpg b.tif", None, {"format": "JPG"}, "a_denoised.jpg b_denoised.jpeg"
    ),
    "a format is forced": ("a.png", "a.png", "odd.dat", {"format": "png"}, "odd.dat"),
    "draws": ("a.png", "a.png", None, {"draws": 2, "ending": "_n"}, "a_n_001.png a_n_002.png"),
    "draws by a field": ("a.png", "a.png", "{draw:02d}.png", {"draws": 2}, "01.png 02.png"),
    "draws of a file": ("a.png", "a.png", "b.png", {"draws": 2}, "b_001.png b_002.png"),
    "images alone": (
        "in/b.PNG in/a.jpg in/r.txt in/.h.png in/sub/c.png", "in", "o", {}, "o/a.jpg o/b.PNG"
    ),
    "a tree": (
        "in/a.png in/x/a.png in/x/y/b.png in/.git/c.png", "in", "out", {"recursive": True},
        "out/a.png out/x/a.png out/x/y/b.png",
    ),
    "a tree within": (
        "in/a.png in/out/a.png", "in", "in/out", {"recursive": True, "overwrite": True},
        "in/out/a.png",
    ),
    "a pattern": ("a1.png a2.png b.png a.txt", "a?.png", "o", {}, "o/a1.png o/a2.png"),
    "a deep pattern": ("d/e/a3.png", "**/a*", "o", {}, "o/a3.png"),
    "each once": ("in/a.png in/b.png", "in/b.png in ./in/a.png", "o", {}, "o/b.png o/a.png"),
    "former outputs elsewhere": (
        "in/a.png in/a_denoised.png", "in", "out", {}, "out/a.png out/a_denoised.png"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANS)
def test_what_is_written(touch: Touch, case: str) -> None:
    there, inputs, output, options, targets = PLANS[case]
    touch(*there.split())
    planned = plan(inputs.split(), output, **options)
    assert [job.target_name for job in planned.jobs] == targets.split()
    assert not any(job.problem for job in planned.jobs)


REFUSED: dict[str, tuple[str, str, str | None, dict[str, Any], str]] = {
    "one file": ("a.png b.png", "a.png b.png", "out.png", {}, "one file and there are several"),
    "one other": ("a.png b.png d.dat", "a.png b.png", "d.dat", {}, "one file and there"),
    **{
        template: ("a.png", "a.png", template, {}, r"fields are \{stem\}")
        for template in ("{nope}.png", "{stem.x}.png", "{}.png", "{stem!r}.png", "{")
    },
    **{
        template: ("a.png", "a.png", template, {}, r"only \{draw\} takes a width")
        for template in ("{stem:d}.png", "{stem:>99999999}.png", "{draw:{draw}}.png")
    },
    "format": ("a.png", "a.png", None, {"format": "gif89"}, "gif89: choose one of png"),
    "suffix": ("a.png", "a.png", "out.xyz", {}, "xyz"),
    "a stream for two": ("a.png b.png", "a.png b.png", "-", {}, "one image"),
    "a stream for draws": ("", "-", None, {"draws": 2}, "one image"),
    "a stream twice": ("", "- -", "out/", {}, "twice"),
    "a stream without a name": ("", "-", "out/", {}, "no name"),
    "there": (
        "a.png b.png a_denoised.png b_denoised.png", "a.png b.png", None, {},
        r"a_denoised.png exists already \(and 1 more\)",
    ),
    "a link to nothing": ("a.png nowhere->out.png", "a.png", "out.png", {}, "exists"),
    "two for one": ("x/a.png y/a.png", "x/a.png y/a.png", "o/", {}, "would both be written to"),
    "two spellings": ("x/\xe9.png y/e\u0301.png",) * 2 + ("o/", {}, "would both be written to"),
    "two paths": (
        "x/a.png x/b.png x->link", "x/a.png link/b.png", "{parent}/same.png", {}, "would both"
    ),
    "another input": ("a.png a_denoised.png",) * 2 + (None, {}, "also an input"),
    "another in a folder": ("in/a.png", "in", "in", {}, "also an input"),
    "a second output": ("s.tif", "-", "-", {"std_target": "s.tif", "resume": True}, "s.tif exists"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(touch: Touch, case: str) -> None:
    there, inputs, output, options, words = REFUSED[case]
    touch(*there.split())
    overwrite = "exist" not in words
    with pytest.raises(UsageError, match=words):
        plan(
            inputs.split(), output, **{"overwrite": overwrite and "resume" not in options} | options
        )


# What is wrong with the first of the jobs; those after it are done.
PROBLEMS: dict[str, tuple[str, list[str], str | None, dict[str, Any], str]] = {
    "an odd suffix": ("n.txt a.png", ["n.txt", "a.png"], None, {}, "n.txt: "),
    "no name": ("a.png", ["", "a.png"], None, {}, ".*empty name"),
    "no images": ("in/r.txt", ["in"], None, {}, "in: no images in this folder.*-r"),
    "none below": ("in/r.txt", ["in"], None, {"recursive": True}, "in: no images in this folder"),
    "no match": ("", ["*.png"], None, {}, r"\*.png: no image matches this pattern"),
    "gone": ("a.png", ["gone.png", "a.png"], None, {}, "gone.png: no such file"),
    "former outputs": ("in/a_denoised.png", ["in"], None, {}, ".*earlier run"),
    "a file as a folder": ("a.png file", ["a.png"], "file/out.png", {}, ".*not a folder"),
    "there": (
        "a.png b.png out/a.png", ["a.png", "b.png"], "out", {},
        "out/a.png: exists already; give --overwrite",
    ),
    "its map": (
        "a.png b.png std/a.tiff", ["a.png", "b.png"], "out", {"std_target": "std"},
        "std/a.tiff: exists already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_problem_is_of_its_file_alone(touch: Touch, case: str) -> None:
    there, inputs, output, options, words = PROBLEMS[case]
    touch(*there.split())
    first, *others = plan(inputs, output, **options).jobs
    assert re.match(words, problem(first))
    assert not any(job.problem for job in others)


def test_pipes_are_neither_read_nor_replaced(touch: Touch) -> None:
    touch("a.png")
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="not a regular file"):
        plan(["a.png"], "pipe.png", overwrite=True)
    (job,) = plan(["pipe.png"], None).jobs
    assert problem(job) == "pipe.png: is not a regular file; pipe it in and name it -"


@pytest.mark.parametrize("inputs", ["in", "in/*.png"])
def test_former_outputs_of_a_template_are_left_out_too(touch: Touch, inputs: str) -> None:
    touch("in/a.png", "in/a_clean.png")
    found = plan([inputs], "{parent}/{stem}_clean{suffix}", skip_existing=True)
    assert [job.name for job in found.jobs] == ["in/a.png"]
    assert "earlier run" in str(found.notes)
    elsewhere = plan(["in"], "out/{stem}_clean{suffix}")
    assert len(elsewhere.jobs) == 2


def test_skip_existing_twice_over_what_the_shell_expands(touch: Touch) -> None:
    touch("a.png", "a_denoised.png", "b.png")
    planned = plan(["a.png", "a_denoised.png", "b.png"], None, skip_existing=True)
    assert [(job.name, bool(job.skip)) for job in planned.jobs] == [
        ("a.png", True),
        ("b.png", False),
    ]
    assert "a_denoised.png" in planned.notes[0]


def test_overwrite_and_skip_existing(touch: Touch) -> None:
    touch("a.png", "a_denoised.png", "out/b.png")
    for output in (None, "out/b.png"):
        (job,) = plan(["a.png"], output, overwrite=True).jobs
        assert (job.skip, job.overwrite) == ("", True)
    assert "a_denoised.png" in plan(["a.png"], None, skip_existing=True).jobs[0].skip
    touch("b.png")  # only what was there may be replaced, and only if asked for
    assert [plan(["b.png"], None, overwrite=on).jobs[0].overwrite for on in (False, True)] == [
        False, True,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="exclude each other"):
        plan(["a.png"], None, overwrite=True, skip_existing=True)


def test_names_that_differ_by_case_are_two_outputs_where_the_disk_tells_them_apart(
    touch: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("one/a.png", "two/A.png", "here/Name")
    if not os.path.exists("here/nAME"):
        os.link("here/Name", "here/nAME")  # the same file by both names
    assert safeguards.tells_case_apart(Path("here")) is False
    monkeypatch.setattr(safeguards, "tells_case_apart", lambda folder: True)
    assert [job.target_name for job in plan(["one/a.png", "two/A.png"], "out/").jobs] == [
        "out/a.png", "out/A.png",
    ]  # fmt: skip
    monkeypatch.setattr(safeguards, "tells_case_apart", lambda folder: False)
    with pytest.raises(UsageError, match="would both be written to"):
        plan(["one/a.png", "two/A.png"], "out/")


@pytest.mark.parametrize("way", ["same", "symlink", "hardlink", "other path"])
def test_an_input_is_never_an_output(touch: Touch, way: str) -> None:
    touch("a.png", "d/x.txt")
    output = {"same": "a.png", "other path": "d/../a.png"}.get(way, "out.png")
    if way == "symlink":
        os.symlink("a.png", "out.png")
    if way == "hardlink":
        os.link("a.png", "out.png")
    for overwrite, skip in ((False, False), (True, False), (False, True)):
        with pytest.raises(UsageError, match="also an input"):
            plan(["a.png"], output, overwrite=overwrite, skip_existing=skip)


def test_a_read_only_folder_is_found_out_beforehand(
    touch: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("a.png", "locked/x.txt")
    # Root may write anywhere, so the answer of the system is put in its mouth.
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "locked")
    assert "locked is read-only" in problem(plan(["a.png"], "locked/deep/out.png").jobs[0])
    assert plan(["a.png"], "free/out.png").jobs[0].problem is None
    touch("b.png", "free/c.png")
    with pytest.raises(UsageError, match="locked is read-only"):
        plan(["a.png", "b.png"], "locked/")
    found = plan(["a.png", "b.png", "free/c.png"], "{parent}/{stem}_x{suffix}").jobs
    assert [each.problem for each in found] == [None] * 3
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "free")
    found = plan(["a.png", "b.png", "free/c.png"], "{parent}/{stem}_x{suffix}").jobs
    assert [each.problem is None for each in found] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cat.gif", b"GIF89a", "is a GIF, which mdn does not read; save the frame"),
        ("scan.pdf", b"%PDF", "is a PDF document, which mdn does not read; export"),
        ("photo.dat", b"\x89PNG\r\n\x1a\n", "is a PNG under another name; call it photo.png"),
        ("cells.czi", b"", "is a Zeiss microscope file.*OME-TIFF"),
        ("head.nii", b"", r"is a NIfTI volume, .*tifffile\.imwrite\(.*nibabel"),
        ("head.nii.gz", b"\x1f\x8b", "is a NIfTI volume, .*gunzip"),
        ("a.h5", b"", r"is an HDF5 file, .*tifffile\.imwrite\(.*h5py"),
        ("named.otherwise", b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        ("m31.fits", b"", r"is an astronomer's file \(FITS\), .*tifffile\.imwrite\(.*astropy"),
        ("m31.fit", b"", "is an astronomer's file"),
        ("views.mpo", b"", r"is an MPO \(several pictures in one file\), .*save the one"),
        (
            "notes.txt",
            b"hello",
            r"has a suffix that mdn does not know \(.txt\); it reads PNG.*Zarr",
        ),
        ("notes", b"hello", r"has a suffix that mdn does not know \(none\)"),
    ],
)
def test_an_unknown_input_is_named_first(
    touch: Touch, name: str, content: bytes, said: str
) -> None:
    Path(name).write_bytes(content)
    (job,) = plan([name], None).jobs
    assert re.search(f"^{re.escape(name)}: {said}", problem(job))


def test_pictures_of_other_kinds_are_counted_by_their_kind(touch: Touch) -> None:
    touch("in/a.png", "in/1.CR2", "in/2.cr2", "in/b.dng", "in/c.exr", "in/readme.txt", "in/.d.gif")
    planned = plan(["in"], "out")
    assert [job.name for job in planned.jobs] == ["in/a.png"]
    found = {(each.count, each.reason.split()[0]) for each in planned.left_out}
    assert found == {(2, ".cr2"), (1, ".dng"), (1, ".exr")}
    assert any(note.startswith("in: left out 2 files: .cr2 is") for note in planned.notes)


def test_folders_in_a_folder_are_counted_unless_they_are_looked_into(touch: Touch) -> None:
    touch("in/a.png", "in/x/b.png", "in/y/c.png", "in/.git/d.png", "in/out/a.png")
    (left,) = plan(["in"], "in/out", overwrite=True).left_out
    assert str(left) == "in: left out 2 folders: -r looks into folders too"
    assert not plan(["in"], "in/out", recursive=True, overwrite=True).left_out


def test_links_to_folders_are_not_followed_and_a_loop_ends(touch: Touch) -> None:
    touch("in/a.png", "other/b.png")
    os.symlink(Path("other").absolute(), "in/linked")
    os.symlink(Path("in").absolute(), "in/loop")
    planned = plan(["in"], "out", recursive=True)
    assert [job.name for job in planned.jobs] == ["in/a.png"]
    (left,) = planned.left_out
    assert (left.count, left.reason) == (2, "links are not followed; name one to take it")
    assert len(plan(["in/**/a.png"], "out").jobs) == 1


def test_a_folder_that_may_not_be_read_is_a_problem(
    touch: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/a.png", "in/locked/b.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):  # root may read anything, so this is put in its mouth
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    image, locked = plan(["in"], "out", recursive=True).jobs
    assert image.problem is None
    assert problem(locked).startswith("in/locked: permission denied; check who")


def test_a_link_to_nothing_in_a_folder_is_a_problem(touch: Touch) -> None:
    touch("in/a.png")
    os.symlink("gone.png", "in/b.png")
    assert "link to nothing" in problem(plan(["in"], "out").jobs[1])
    os.mkfifo("in/c.png")
    assert "pipes" in plan(["in"], "out").notes[0]


def test_a_second_output_may_be_there_if_its_job_is_skipped_and_only_then(touch: Touch) -> None:
    touch("a.png", "b.png", "c.png", "out/a.png", "std/a.tiff", "std/b.tiff")
    inputs = ["a.png", "b.png", "c.png"]
    skipped, there, free = plan(inputs, "out", std_target="std", skip_existing=True).jobs
    assert skipped.problem is None
    assert skipped.skip
    assert "std/b.tiff: exists already; give --overwrite" in problem(there)
    assert (free.problem, free.skip) == (None, "")


def test_each_of_two_outputs_may_be_replaced_for_itself(touch: Touch) -> None:
    touch("a.png", "std/a.tiff")
    (job,) = plan(["a.png"], "out/", std_target="std/", resume=True).jobs
    assert (job.problem, job.overwrite, job.std_overwrite) == (None, False, True)
