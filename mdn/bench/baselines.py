"""Classical denoisers to measure against. None is needed by mdn; each is used if it is installed.

Each is a function (page, sigma) -> page: float32 (H, W, C), C = 1 or 3, nominal 0..1, and the
standard deviation of the noise on that scale, which only those use whose title says so. Those for
renders take a Render instead, and give its beauty.
"""

import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from mdn.bench.renders import Render
from mdn.encoding import Display


class Baseline(NamedTuple):
    """One classical method."""

    title: str  # what it is, and whether it is told the true sigma
    packages: Mapping[str, str]  # the modules it imports, with the name of each one's distribution
    install: str  # the command that gets them
    function: Callable[..., np.ndarray]
    renders: bool = False  # it takes a Render, and nothing else

    @property
    def missing(self) -> str:
        """Why it cannot run here, in one line, or nothing."""
        absent = [package for module, package in self.packages.items() if find_spec(module) is None]
        return f"not installed: needs {', '.join(absent)}; {self.install}" if absent else ""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages it uses."""
        return {package: _version(package) for package in self.packages.values()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # its module came with another package, as cv2 may
        return "unknown"


def quiet(function: Callable[..., np.ndarray], *arguments: object) -> np.ndarray:
    """What a baseline gives, without the warnings of its packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


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


def _bm3d_blind(x: np.ndarray, sigma: float) -> np.ndarray:
    return _bm3d(x, _estimate(x))


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


def _oidn_colour(render: Render) -> np.ndarray:
    return _oidn(Render(render.beauty))


# Multiples of sigma: the best of a coarse grid on training photos at sigma 15, 25 and 50.
TV_WEIGHT, NLM_H, OPENCV_H = 1.0, 0.6, 0.6

_BM3D = {"bm3d": "bm3d"}
_SKIMAGE = {"skimage": "scikit-image", "pywt": "PyWavelets"}
_OPENCV = {"cv2": "opencv-python-headless"}
_PYOIDN = {"pyoidn": "pyoidn", "cffi": "cffi"}
_GET_BM3D = "pip install bm3d (its licence allows non-commercial use only)"
_BENCH, _PEERS, _OIDN = (
    f"pip install 'mdn[{extra}]'" for extra in ("bench", "bench,peers", "oidn")
)

BASELINES = {
    "bm3d": Baseline("BM3D with the true sigma; one thread", _BM3D, _GET_BM3D, _bm3d),
    "bm3d-blind": Baseline(
        "BM3D, sigma estimated; one thread",
        _BM3D | _SKIMAGE,
        f"{_GET_BM3D} and {_BENCH}",
        _bm3d_blind,
    ),
    "nlm": Baseline("scikit-image non-local means, sigma estimated", _SKIMAGE, _BENCH, _nlm),
    "tv": Baseline("scikit-image total variation, sigma estimated", _SKIMAGE, _BENCH, _tv),
    "wavelet": Baseline("scikit-image wavelets, BayesShrink", _SKIMAGE, _BENCH, _wavelet),
    "opencv-nlm": Baseline(
        "OpenCV non-local means, sigma estimated", _OPENCV | _SKIMAGE, _PEERS, _opencv
    ),
    "oidn": Baseline(
        "Intel Open Image Denoise with albedo and normal", _PYOIDN, _OIDN, _oidn, renders=True
    ),
    "oidn-colour": Baseline(
        "Intel Open Image Denoise, colour alone", _PYOIDN, _OIDN, _oidn_colour, renders=True
    ),
}
