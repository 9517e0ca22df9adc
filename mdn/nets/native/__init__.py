"""C++ for the few loops that PyTorch cannot fuse, built for this processor on first use.

A wheel built for everybody could not use this machine's vectors, and a wheel that must be compiled
could not be installed by everybody; so the source ships, and where there is a compiler it is built
once (a few seconds) into the user's cache. Where there is none, or MDN_NATIVE=off, callers fall
back to PyTorch: slower, the same output up to rounding.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

_FOLDER = Path(__file__).parent
# Vectors as wide as the processor's, products and sums fused; but infinities and the order of sums
# are kept, so that a result does not depend on the compiler's mood.
_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fopenmp", "-shared", "-fPIC"),
)
_TIMEOUT_SECONDS = 300
_log = logging.getLogger(__name__)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None where they cannot be had."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler or os.environ.get("MDN_NATIVE", "on").lower() in ("off", "0", "no"):
        return None
    try:
        path = _cache() / f"swin-{_fingerprint(compiler)}.so"
        if not path.exists():
            _build(compiler, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        _log.info("no native code, PyTorch does it all: %s", error)
        return None


def _cache() -> Path:
    folder = platformdirs.user_cache_path("mdn") / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="mdn-native-"))


def _fingerprint(compiler: str) -> str:
    """Of all that the build depends on; a home may be shared by machines that differ."""
    digest = hashlib.sha256()
    for source in sorted((*_FOLDER.glob("*.cpp"), *_FOLDER.glob("*.h"))):
        digest.update(source.read_bytes())
    digest.update(repr((compiler, _FLAGS, platform.machine(), platform.processor())).encode())
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        flags = [line for line in cpus.read_text().splitlines() if line.startswith("flags")]
        digest.update("".join(flags[:1]).encode())
    return digest.hexdigest()[:16]


def _build(compiler: str, path: Path) -> None:
    # Built aside and renamed: another process may want it at this moment.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        built = Path(scratch) / path.name
        command = [compiler, *_FLAGS, "-o", str(built), *map(str, sorted(_FOLDER.glob("*.cpp")))]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_SECONDS)
        built.replace(path)
