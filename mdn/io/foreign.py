"""Files that people try and mdn does not read: what they are, and what to do with them."""

from __future__ import annotations

from pathlib import Path

_RAW = "name the file itself, and LibRaw reads it (pip install 'mdn[raw]')"  # see `mdn.io.raw`
_FILM = "save the frame you want as PNG"
_TIFF = "convert it to TIFF"
_PNG = "convert it to PNG or TIFF"

# By suffix: what it is, and the way out.
_SUFFIXES = {
    ".cr2": ("a Canon raw file", _RAW),
    ".cr3": ("a Canon raw file", _RAW),
    ".crw": ("a Canon raw file", _RAW),
    ".nef": ("a Nikon raw file", _RAW),
    ".nrw": ("a Nikon raw file", _RAW),
    ".arw": ("a Sony raw file", _RAW),
    ".sr2": ("a Sony raw file", _RAW),
    ".raf": ("a Fujifilm raw file", _RAW),
    ".rw2": ("a Panasonic raw file", _RAW),
    ".orf": ("an Olympus raw file", _RAW),
    ".pef": ("a Pentax raw file", _RAW),
    ".srw": ("a Samsung raw file", _RAW),
    ".x3f": ("a Sigma raw file", _RAW),
    ".iiq": ("a Phase One raw file", _RAW),
    ".3fr": ("a Hasselblad raw file", _RAW),
    ".dng": ("a raw file (DNG)", _RAW),
    ".gif": ("a GIF", _FILM),
    ".apng": ("an animated PNG", _FILM),
    ".mpo": ("an MPO of several views", "save the one you want as JPEG"),
    ".mp4": ("a film", _FILM),
    ".mov": ("a film", _FILM),
    ".psd": ("a Photoshop document", "save it as TIFF"),
    ".psb": ("a Photoshop document", "save it as TIFF"),
    ".xcf": ("a GIMP document", "export it as PNG or TIFF"),
    ".kra": ("a Krita document", "export it as PNG or TIFF"),
    ".svg": ("a drawing of lines (SVG)", "it has no noise"),
    ".pdf": ("a PDF document", "export its pages as PNG"),
    ".jp2": ("a JPEG 2000 picture", _PNG),
    ".j2k": ("a JPEG 2000 picture", _PNG),
    ".jxr": ("a JPEG XR picture", _PNG),
    ".hdr": ("a Radiance HDR picture", "convert it to OpenEXR"),
    ".pfm": ("a floating-point pixmap", "convert it to TIFF of 32-bit floats"),
    ".ppm": ("a pixmap", _PNG),
    ".pgm": ("a pixmap", _PNG),
    ".tga": ("a Targa picture", _PNG),
    ".ico": ("an icon", _PNG),
    ".czi": ("a Zeiss microscope file", "export it as OME-TIFF (Bio-Formats)"),
    ".lif": ("a Leica microscope file", "export it as OME-TIFF (Bio-Formats)"),
    ".nd2": ("a Nikon microscope file", "export it as OME-TIFF (Bio-Formats)"),
    ".oib": ("an Olympus microscope file", "export it as OME-TIFF (Bio-Formats)"),
    ".mrc": ("an electron microscope's file", _TIFF),
    ".dcm": ("a DICOM picture", _TIFF),
    ".fits": ("an astronomer's file (FITS)", _TIFF),
    ".npy": ("an array of numpy", "call mdn.denoise() from Python"),
}
# By content: where, what, and its entry above.
_MAGIC = (
    (0, b"GIF8", ".gif"),
    (4, b"ftypcrx", ".cr3"),
    (4, b"ftypqt", ".mov"),
    (4, b"ftypisom", ".mp4"),
    (4, b"ftypmp4", ".mp4"),
    (0, b"FUJIFILM", ".raf"),
    (0, b"IIU\0", ".rw2"),
    (0, b"IIRO", ".orf"),
    (0, b"FOVb", ".x3f"),
    (8, b"CR\2", ".cr2"),
    (0, b"8BPS", ".psd"),
    (0, b"gimp xcf", ".xcf"),
    (0, b"\0\0\0\x0cjP  ", ".jp2"),
    (0, b"\xff\x4f\xff\x51", ".j2k"),
    (0, b"%PDF", ".pdf"),
    (0, b"#?RADIANCE", ".hdr"),
    (0, b"P5", ".pgm"),
    (0, b"P6", ".ppm"),
    (0, b"SIMPLE  =", ".fits"),
    (128, b"DICM", ".dcm"),
    (0, b"\x93NUMPY", ".npy"),
)


def by_suffix(path: Path) -> tuple[str, str] | None:
    """What a file of this name is, and what to do with it; None where nothing is known of it."""
    return _SUFFIXES.get(path.suffix.lower())


def by_content(data: bytes) -> tuple[str, str] | None:
    """As `by_suffix`, by how a file begins."""
    for at, magic, suffix in _MAGIC:
        if data[at : at + len(magic)] == magic:
            return _SUFFIXES[suffix]
    return None


def is_raw(path: Path) -> bool:
    """Whether a file is named as cameras name their raw ones. Many of them are TIFFs inside."""
    known = by_suffix(path)
    return known is not None and known[1] == _RAW
