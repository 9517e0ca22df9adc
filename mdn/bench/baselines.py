"""Classical denoisers to measure against. None is needed by mdn; each is used if it is installed.

A baseline takes float32 (H, W, C), C = 1 or 3, nominal 0..1, and the noise's true standard
deviation, which only those use whose title says so; it returns the same shape.
"""

import difflib
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np

from mdn.bench.method import Method
from mdn.bench.renders import Render
from mdn.encoding import Display
from mdn.errors import FileError, UsageError

PREFIX = "peer:"


class Baseline(Method):
    """One classical method.

    Args:
        name: after "peer:".
        title: what it is, and whether it knows the true sigma.
        modules: what must be importable, with the distribution's name of each.
        install: the command that gets them.
        function: (page, sigma) -> the page, denoised.
        renders: it takes renders and nothing else; its function then takes a Render, and returns
            its beauty.
    """

    kind = "baseline"

    def __init__(
        self,
        name: str,
        title: str,
        modules: tuple[tuple[str, str], ...],
        install: str,
        function: Callable[..., np.ndarray],
        renders: bool = False,
    ) -> None:
        self.name, self.title = PREFIX + name, title
        self.modules, self.install, self.function = modules, install, function
        self.linear = self.renders_only = renders

    @property
    def missing(self) -> str:
        """Why it cannot run here, in one line, or nothing."""
        absent = [package for module, package in self.modules if find_spec(module) is None]
        return f"not installed: needs {', '.join(absent)}; {self.install}" if absent else ""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages it uses."""
        return {package: _version(package) for _, package in self.modules}

    @property
    def identity(self) -> str:  # type: ignore[override]
        versions = [f"{package} {version}" for package, version in self.versions.items()]
        return "/".join([self.name, *versions])

    def describe(self) -> dict[str, object]:
        return super().describe() | {"versions": self.versions}

    def denoise(
        self, page: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        coding = Display(page.dtype)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self.renders_only:
                    return self.function(render)
                result = self.function(coding.encode(page), sigma)
        except Exception as error:  # other people's code: one picture's failure is no end to all
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            raise FileError(name, f"{self.name} failed on it ({reason})") from error
        return coding.decode(np.asarray(result, np.float32).reshape(page.shape))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # its module came with another package, as cv2 may
        return "unknown"


def find(name: str) -> Baseline:
    """The baseline of that name, without "peer:". Raises UsageError that offers the nearest."""
    if name in BASELINES:
        return BASELINES[name]
    near = difflib.get_close_matches(name.lower(), BASELINES, n=3, cutoff=0.4) or list(BASELINES)
    raise UsageError(f"no peer {name!r}; try {', '.join(PREFIX + each for each in near)}")


# --- the methods ------------------------------------------------------------------------------


def _estimate(x: np.ndarray) -> float:
    """Standard deviation of the noise, from the finest wavelet scale (Donoho, Johnstone 1994)."""
    from skimage.restoration import estimate_sigma

    return max(float(estimate_sigma(x, channel_axis=-1, average_sigmas=True)), 1e-4)


def _bm3d(x: np.ndarray, sigma: float) -> np.ndarray:
    import bm3d

    sigma = max(sigma, 1e-4)  # at 0 it divides by it
    profile = bm3d.BM3DProfile()
    profile.num_threads = 1  # with more its results differ from run to run
    if x.shape[2] == 3:
        return bm3d.bm3d_rgb(x, sigma, profile)
    return bm3d.bm3d(x[..., 0], sigma, profile)


def _nlm(x: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    level = _estimate(x)
    return denoise_nl_means(
        x, patch_size=5, patch_distance=6, h=NLM_H * level, sigma=level, channel_axis=-1
    )


def _tv(x: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(x, weight=TV_WEIGHT * _estimate(x), channel_axis=-1)


def _wavelet(x: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(
        x, sigma=_estimate(x), channel_axis=-1, convert2ycbcr=x.shape[2] == 3, rescale_sigma=True
    )


def _opencv(x: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    h = OPENCV_H * 255 * _estimate(x)
    eight = Display(np.dtype(np.uint8)).decode(x)  # it takes nothing else
    if x.shape[2] == 1:
        return cv2.fastNlMeansDenoising(eight[..., 0], None, h) / 255
    return cv2.fastNlMeansDenoisingColored(eight[..., ::-1].copy(), None, h, h)[..., ::-1] / 255


def _oidn(render: Render) -> np.ndarray:
    import pyoidn

    beauty = np.nan_to_num(render.beauty, nan=0, posinf=65504, neginf=0).clip(min=0)
    guides = {}
    if render.albedo is not None:
        guides["albedo"] = np.nan_to_num(render.albedo).clip(0, 1)
        if render.normal is not None:  # it takes normals only beside albedo
            guides["normal"] = np.nan_to_num(render.normal).clip(-1, 1)
    return pyoidn.denoise(beauty, hdr=True, **guides)


# Multiples of sigma: the best of a coarse grid on training photos at sigma 15, 25 and 50.
TV_WEIGHT, NLM_H, OPENCV_H = 1.0, 0.6, 0.6

_MODULE = (("bm3d", "bm3d"),)
_SKIMAGE = (("skimage", "scikit-image"), ("pywt", "PyWavelets"))
_PYOIDN = (("pyoidn", "pyoidn"), ("cffi", "cffi"))
_BENCH, _OIDN = "pip install mdn[bench]", "pip install mdn[oidn]"
_BM3D = "pip install bm3d (its licence allows non-commercial use only)"

BASELINES: dict[str, Baseline] = {
    each.name.removeprefix(PREFIX): each
    for each in (
        Baseline("bm3d", "BM3D with the true sigma; one thread", (("bm3d", "bm3d"),), _BM3D, _bm3d),
        Baseline(
            "bm3d-blind",
            "BM3D, sigma estimated; one thread",
            (*_MODULE, *_SKIMAGE),
            f"{_BM3D} and {_BENCH}",
            lambda x, sigma: _bm3d(x, _estimate(x)),
        ),
        Baseline("nlm", "scikit-image non-local means, sigma estimated", _SKIMAGE, _BENCH, _nlm),
        Baseline("tv", "scikit-image total variation, sigma estimated", _SKIMAGE, _BENCH, _tv),
        Baseline("wavelet", "scikit-image wavelets, BayesShrink", _SKIMAGE, _BENCH, _wavelet),
        Baseline(
            "opencv-nlm",
            "OpenCV non-local means, sigma estimated",
            (("cv2", "opencv-python-headless"), *_SKIMAGE),
            "pip install mdn[bench,peers]",
            _opencv,
        ),
        Baseline(
            "oidn",
            "Intel Open Image Denoise with albedo and normal",
            _PYOIDN,
            _OIDN,
            _oidn,
            renders=True,
        ),
        Baseline(
            "oidn-colour",
            "Intel Open Image Denoise, colour alone",
            _PYOIDN,
            _OIDN,
            lambda render: _oidn(Render(render.beauty)),
            renders=True,
        ),
    )
}
