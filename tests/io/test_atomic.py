import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import BinaryIO

import pytest

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from mdn.io.atomic import part_beside, replacing, replacing_folder, sweep
from tests.io.samples import picture

PHOTO = Image(picture(16, 24, 3)[None])


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_a_plain_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        io.write_image(PHOTO, tmp_path / "out.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.png").stat().st_mode) == mode


@pytest.mark.parametrize(
    ("call", "problem", "expected"),
    [
        ("fsync", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left"),
        ("fsync", OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output"),
        ("open", OSError(errno.EROFS, os.strerror(errno.EROFS)), "may not be written"),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, problem: OSError, expected: str
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def failing(*_: object) -> int:
        raise problem

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(FileError, match=expected) as caught:
        io.write_image(PHOTO, target)
    monkeypatch.undo()
    assert str(target) in str(caught.value)
    assert (only(tmp_path), target.read_bytes()) == (["out.png"], b"old")


def test_an_interrupt_passes_on_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        io.write_image(PHOTO, tmp_path / "out.png")
    assert only(tmp_path) == []


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    preamble = """
        import os, resource, sys
        from pathlib import Path
        import numpy as np
        from mdn import io
        from mdn.errors import FileError
        from mdn.image import Image
        noise = np.random.default_rng(0).integers(0, 256, (1, 200, 200, 3))
        picture = Image(noise.astype(np.uint8))
        target = Path(sys.argv[1])
    """
    script = textwrap.dedent(preamble) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs file size limits")
def test_a_file_that_may_not_grow_is_a_clear_error(tmp_path: Path) -> None:
    code = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        try:
            io.write_image(picture, target)
        except FileError as problem:
            print(problem)
    """
    result = run(code, tmp_path / "out.png")
    assert result.returncode == 0, result.stderr
    assert "out.png: cannot be written (File too large); make room" in result.stdout
    assert only(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs user ids")
def test_a_folder_without_write_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    code = """
        target.mkdir(mode=0o755)
        if os.geteuid() == 0:
            os.seteuid(65534)  # permissions do not bind the superuser
        else:
            target.chmod(0o555)
        try:
            io.write_image(picture, target / "out.png")
        except FileError as problem:
            print(problem)
        print(sorted(target.iterdir()))
        os.chmod(target, 0o755) if os.geteuid() != 65534 else None
        os.seteuid(os.getuid())
        target.rmdir()
    """
    place = Path(tempfile.gettempdir()) / f"mdn-read-only-{os.getpid()}"
    result = run(code, place)
    assert result.returncode == 0, result.stderr
    assert "out.png: is in a folder that may not be written; write elsewhere" in result.stdout
    assert "[]" in result.stdout


def test_a_write_protected_file_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    target.chmod(0o444)
    with pytest.raises(FileError, match="read-only"):
        io.write_image(PHOTO, target)
    assert (target.read_bytes(), only(tmp_path)) == (b"old", ["out.png"])


def test_targets_that_cannot_be_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"folder that does not exist; create .*missing"):
        io.write_image(PHOTO, tmp_path / "missing" / "out.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FileError, match="is a directory"):
        io.write_image(PHOTO, tmp_path / "folder.png")
    with pytest.raises(FileError, match="not a regular file"):
        io.write_image(PHOTO, Path(os.devnull), format="png")
    with pytest.raises(FileError):
        io.write_image(PHOTO, tmp_path / ("x" * 300 + ".png"))
    with pytest.raises(FileError):
        io.write_image(PHOTO, tmp_path / "a\0b.png")
    assert only(tmp_path) == ["folder.png"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "out.png"
    target.write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to(target)
    io.write_image(PHOTO, link)
    assert link.is_symlink()
    assert (target.read_bytes()[:4], only(tmp_path / "real")) == (b"\x89PNG", ["out.png"])


def test_what_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.png"

    def late() -> None:
        with replacing(target, overwrite=False) as stream:
            stream.write(b"mine")
            target.write_bytes(b"theirs")

    with pytest.raises(FileError, match=r"was written by another run meanwhile.*--overwrite"):
        late()
    assert (target.read_bytes(), only(tmp_path)) == (b"theirs", ["out.png"])
    with pytest.raises(FileError, match="another run"):
        io.write_image(PHOTO, target, overwrite=False)
    io.write_image(PHOTO, target)
    assert target.read_bytes() != b"theirs"


def test_disks_without_hard_links_keep_the_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    target = tmp_path / "out.png"
    io.write_image(PHOTO, target, overwrite=False)
    whole = target.read_bytes()
    with pytest.raises(FileError, match="another run"), replacing(target, overwrite=False):
        pass
    assert (target.read_bytes(), only(tmp_path)) == (whole, ["out.png"])


def test_a_folder_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"

    def late() -> None:
        with replacing_folder(target, overwrite=False) as folder:
            (folder / "mine").touch()
            target.mkdir()
            (target / "theirs").touch()

    with pytest.raises(FileError, match="another run"):
        late()
    assert (only(tmp_path), only(target)) == (["out.zarr"], ["theirs"])


def test_what_a_dead_run_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    dead, folder, young = (part_beside(tmp_path / "x") for _ in range(3))
    foreign = tmp_path / ".mdn-00000000-0123456789abcdef.part"  # of another machine
    for path in (dead, young, foreign):
        path.write_bytes(b"half")
    folder.mkdir()
    (folder / "0.0").touch()
    for path in (dead, folder, foreign):
        os.utime(path, (1e9, 1e9))
    sweep.cache_clear()
    with replacing(tmp_path / "living.png") as stream:
        (living,) = (path for path in tmp_path.iterdir() if path.stat().st_ino == inode(stream))
        os.utime(living, (1e9, 1e9))
        script = (
            "import sys; from pathlib import Path; from mdn.io.atomic import sweep;"
            "print(sweep(Path(sys.argv[1])))"
        )
        command = [sys.executable, "-c", script, str(tmp_path)]
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        assert again.stdout == "0\n"  # this run has removed the dead ones already
        assert living.exists()
    assert only(tmp_path) == sorted([foreign.name, young.name, "living.png"])


def inode(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_ino


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_hung_up_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        from mdn.cli import app
        from mdn.io.atomic import replacing
        def work(**_):
            with replacing(Path(sys.argv[1]) / "out.tif") as stream:
                stream.write(b"half")
                os.kill(os.getpid(), int(sys.argv[2]))
        app.app = work
        app.main()
    """)
    command = [sys.executable, "-c", script, str(tmp_path), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ((done.returncode, done.stderr), only(tmp_path)) == ((128 + number, ""), [])
