"""Files that people try and mdn does not read: what they are, and what to do with them."""

from pathlib import Path

_RAW = "name the file itself, and LibRaw reads it (pip install 'mdn[raw]')"  # see `mdn.io.raw`
_FILM = "save the frame you want as PNG"
_TIFF = "convert it to TIFF"
_PNG = "convert it to PNG or TIFF"

_OME = "export it as OME-TIFF (Bio-Formats)"
_EXPORT = "export it as PNG or TIFF"
# Volumes and tables of numbers: one line of Python makes a stack that mdn reads.
_NIFTI = (
    "make a TIFF stack of it, in Python: tifffile.imwrite('out.tif', "
    "nibabel.load('FILE').get_fdata().T.astype('float32'))"
)
_HDF5 = (
    "make a TIFF stack of one of its arrays, in Python: tifffile.imwrite('out.tif', "
    "h5py.File('FILE')['NAME'][()]); h5ls FILE lists the names"
)
_FITS = (
    "make a TIFF of it, in Python: tifffile.imwrite('out.tif', "
    "astropy.io.fits.getdata('FILE').astype('float32'))"
)
_MATLAB = (
    "make a TIFF of one of its arrays, in Python: tifffile.imwrite('out.tif', "
    "scipy.io.loadmat('FILE')['NAME'])"
)
# What it is, the way out, and its suffixes.
_KINDS = (
    ("a Canon raw file", _RAW, ".cr2 .cr3 .crw"),
    ("a Nikon raw file", _RAW, ".nef .nrw"),
    ("a Sony raw file", _RAW, ".arw .sr2"),
    ("a Fujifilm raw file", _RAW, ".raf"),
    ("a Panasonic raw file", _RAW, ".rw2"),
    ("an Olympus raw file", _RAW, ".orf"),
    ("a Pentax raw file", _RAW, ".pef"),
    ("a Samsung raw file", _RAW, ".srw"),
    ("a Sigma raw file", _RAW, ".x3f"),
    ("a Phase One raw file", _RAW, ".iiq"),
    ("a Hasselblad raw file", _RAW, ".3fr"),
    ("a raw file (DNG)", _RAW, ".dng"),
    ("a GIF", _FILM, ".gif"),
    ("an animated PNG", _FILM, ".apng"),
    ("an MPO (several pictures in one file)", "save the one you want as JPEG", ".mpo"),
    ("a film", _FILM, ".mp4 .mov"),
    ("a Photoshop document", "save it as TIFF", ".psd .psb"),
    ("a GIMP document", _EXPORT, ".xcf"),
    ("a Krita document", _EXPORT, ".kra"),
    ("a drawing of lines (SVG)", "it has no noise", ".svg"),
    ("a PDF document", "export its pages as PNG", ".pdf"),
    ("a JPEG 2000 picture", _PNG, ".jp2 .j2k"),
    ("a JPEG XR picture", _PNG, ".jxr"),
    ("a Radiance HDR picture", "convert it to OpenEXR", ".hdr"),
    ("a bitmap of black and white", _PNG, ".pbm"),
    ("a PAM picture", _PNG, ".pam"),
    ("a Targa picture", _PNG, ".tga"),
    ("an icon", _PNG, ".ico"),
    ("a Zeiss microscope file", _OME, ".czi"),
    ("a Leica microscope file", _OME, ".lif"),
    ("a Nikon microscope file", _OME, ".nd2"),
    ("an Olympus microscope file", _OME, ".oib"),
    ("an electron microscope's file", _TIFF, ".mrc"),
    ("a DICOM picture", _TIFF, ".dcm"),
    ("an astronomer's file (FITS)", _FITS, ".fits .fit .fts"),
    ("a NIfTI volume", _NIFTI, ".nii"),
    ("a NIfTI volume", f"unpack it with gunzip, then {_NIFTI}", ".nii.gz"),
    ("an HDF5 file", _HDF5, ".h5 .hdf5 .he5 .ims"),
    ("a MATLAB file", _MATLAB, ".mat"),
    ("an array of numpy", "call mdn.denoise() from Python", ".npy"),
)
SUFFIXES = {each: (kind, way) for kind, way, suffixes in _KINDS for each in suffixes.split()}
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
    (0, b"P4", ".pbm"),
    (0, b"P7", ".pam"),
    (0, b"SIMPLE  =", ".fits"),
    (0, b"\x89HDF\r\n\x1a\n", ".h5"),
    (344, b"n+1\0", ".nii"),
    (344, b"ni1\0", ".nii"),
    (0, b"ZISRAWFILE", ".czi"),
    (0, b"MATLAB 5.0", ".mat"),
    (128, b"DICM", ".dcm"),
    (0, b"\x93NUMPY", ".npy"),
)


def by_suffix(path: Path) -> tuple[str, str] | None:
    """What a file of this name is, and what to do with it; None where nothing is known of it."""
    double = "".join(path.suffixes[-2:]).lower()  # .nii.gz
    return SUFFIXES.get(double) or SUFFIXES.get(path.suffix.lower())


def by_content(data: bytes) -> tuple[str, str] | None:
    """As `by_suffix`, by how a file begins."""
    kinds = (suffix for at, magic, suffix in _MAGIC if data.startswith(magic, at))
    return SUFFIXES.get(next(kinds, ""))


def is_raw(path: Path) -> bool:
    """Whether a file is named as cameras name their raw ones. Many of them are TIFFs inside."""
    kind = by_suffix(path)
    return kind is not None and kind[1] == _RAW
