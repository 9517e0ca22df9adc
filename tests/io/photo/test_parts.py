"""Gain maps, films, further pictures: what is left out is named, and XMP promises it no longer.

The files are made as phones make them: a second JPEG or an MP4 behind the picture, and XMP that
says so (Google's Ultra HDR 1.1 and Motion Photo 1.0).
"""

import hashlib
import io as streams
import struct
from pathlib import Path
from xml.etree import ElementTree

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from mdn import io
from mdn.image import Image, Metadata
from mdn.io.photo import boxes
from mdn.io.xmp import EXTENSION, without_promises
from mdn.jobs.files import load, save
from tests.io.samples import coded, encoded, exif, opened, picture, png_of
from tests.jobs.test_files import job
from tests.jobs.test_running import Recorder

PHOTO = picture(48, 64, 3)
RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
FILM = (
    b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"
    b"\0\0\0\x10mdatabcdefgh"  # shortened
)
GCAMERA = b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'


def packet(attributes: bytes = b"", elements: bytes = b"") -> bytes:
    """An XMP packet with a rating, a title and what is given."""
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="mdn\'s > tests">\n'
        b'  <rdf:RDF xmlns:rdf="' + RDF + b'">\n'
        b'    <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"\n'
        b'        xmlns:dc="http://purl.org/dc/elements/1.1/"' + attributes + b"\n"
        b'        xmp:Rating="4">\n'
        b"      <!-- caf\xc3\xa9 -->\n"
        b'      <dc:title><rdf:Alt><rdf:li xml:lang="x-default">caf\xc3\xa9 &lt;1&gt;</rdf:li>'
        b"</rdf:Alt></dc:title>" + elements + b"\n"
        b"    </rdf:Description>\n"
        b"  </rdf:RDF>\n"
        b'</x:xmpmeta>\n   \n<?xpacket end="w"?>'
    )


def directory(*semantics: bytes) -> bytes:
    """A Container:Directory of the picture and of what is behind it."""
    items = b"".join(
        b'\n<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="' + each + b'"'
        b' Item:Mime="image/jpeg" Item:Length="123"/></rdf:li>'
        for each in (b"Primary", *semantics)
    )
    return b"\n      <Container:Directory><rdf:Seq>" + items + b"</rdf:Seq></Container:Directory>"


CONTAINER = (
    b'\n        xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b'\n        xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)
HDRGM = (
    b'\n        xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"\n        hdrgm:Version="1.0"'
)
ULTRA = packet(CONTAINER + HDRGM, directory(b"GainMap"))
PLAIN = packet()
MOTION = packet(
    CONTAINER + b" " + GCAMERA + b' GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"'
    b' GCamera:MotionPhotoPresentationTimestampUs="500000"',
    directory(b"MotionPhoto"),
)
MICRO = packet(
    b" " + GCAMERA + b' GCamera:MicroVideo="1" GCamera:MicroVideoVersion="1"'
    b" GCamera:MicroVideoOffset='44' GCamera:SpecialTypeID=\"x\""
)
IN_ELEMENTS = packet(
    b" " + GCAMERA,
    b"\n<GCamera:MotionPhoto>1</GCamera:MotionPhoto>\n<GCamera:MicroVideoOffset>44"
    b"</GCamera:MicroVideoOffset>",
)
GAIN = encoded(
    picture(12, 16, 1), "JPEG",
    xmp=packet(HDRGM + b' hdrgm:GainMapMax="2.5"'),
)  # fmt: skip


def photo(xmp: bytes, tail: bytes = b"", extra: bytes = b"") -> bytes:
    return encoded(PHOTO, "JPEG", xmp=xmp, quality=90, extra=extra) + tail


def indexed() -> bytes:
    """A multi-picture file: the index of CIPA DC-007 lists picture and gain map."""
    stream = streams.BytesIO()
    frames = [Pillow.fromarray(PHOTO), Pillow.open(streams.BytesIO(GAIN))]
    frames[0].save(stream, "MPO", save_all=True, append_images=frames[1:], xmp=ULTRA)
    return stream.getvalue()


PARTS = {
    "ultra hdr": (photo(ULTRA, GAIN), ["gain map"]),
    "gain map that XMP forgot": (photo(PLAIN, GAIN), ["gain map"]),
    "ultra hdr with an index": (indexed(), ["gain map"]),
    "motion": (photo(MOTION, FILM), ["film of the motion photo"]),
    "micro": (photo(MICRO, FILM), ["film of the motion photo"]),
    "elements": (photo(IN_ELEMENTS, FILM), ["film of the motion photo"]),
    "both": (
        photo(packet(CONTAINER + HDRGM, directory(b"GainMap", b"MotionPhoto")), GAIN + FILM),
        ["gain map", "film of the motion photo"],
    ),
    "a second picture": (photo(PLAIN, encoded(PHOTO, "JPEG")), ["further pictures in the file"]),
    "something": (photo(PLAIN, b"what a maker puts there"), ["data behind the picture"]),
    "padding": (photo(PLAIN, bytes(512) + b"\xff" * 9), []),
    "nothing": (photo(PLAIN), []),
    "promised and gone": (photo(ULTRA), []),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_what_is_left_out_is_named_and_not_promised(tmp_path: Path, name: str, format: str) -> None:
    data, parts = PARTS[name]
    target = {"jpeg": "b.jpg", "tiff": "b.tif"}.get(format, f"b.{format}")
    work, notes = job(tmp_path, "a.jpg", target, data), Recorder()
    image = load(work)
    assert io.left_out(image) == parts
    assert save(work, image, notes, original=255 - image.pixels) is True
    assert notes.said == ([f"left out: {', '.join(parts)}"] if parts else [])
    written = io.read_image(work.target)
    assert io.left_out(written) == []
    xmp = written.meta.xmp
    for word in (b"hdrgm", b"hdr-gain-map", b"Container", b"Item", b"MotionPhoto", b"MicroVideo"):
        assert word not in work.target.read_bytes()
    root = ElementTree.fromstring(xmp[xmp.index(b"<x:") : xmp.rindex(b"<?xpacket")])
    assert b'xmp:Rating="4"' in xmp
    assert "café <1>" in "".join(root.itertext())


def test_the_rest_of_the_packet_stays_byte_for_byte() -> None:
    assert without_promises(PLAIN).packet is PLAIN
    assert without_promises(ULTRA).packet == PLAIN
    assert without_promises(MOTION).packet == packet(b" " + GCAMERA)
    assert without_promises(MICRO).packet == packet(b" " + GCAMERA + b' GCamera:SpecialTypeID="x"')
    assert without_promises(IN_ELEMENTS).packet == packet(b" " + GCAMERA)


@pytest.mark.parametrize(
    "odd",
    [
        ULTRA[:-120],  # cut short
        ULTRA.decode().encode("utf-16"),
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + ULTRA[ULTRA.index(b"<x:") :],
        b"hdrgm http://ns.adobe.com/hdr-gain-map/1.0/",
        b"",
    ],
)
def test_what_is_no_packet_is_left_alone(odd: bytes) -> None:
    assert without_promises(odd).packet == odd


def test_a_copy_keeps_its_parts_and_its_promises(tmp_path: Path) -> None:
    data, _ = PARTS["both"]
    work, notes = job(tmp_path, "a.jpg", "b.jpg", data), Recorder()
    image = load(work)
    assert save(work, image, notes, original=image.pixels) is False
    assert ((tmp_path / "b.jpg").read_bytes(), notes.said) == (data, [])


def extended(whole: bytes, step: int) -> tuple[bytes, list[bytes]]:
    """Extended XMP as its identifier and the segments that hold it."""
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode()
    bodies = [
        EXTENSION + guid + struct.pack(">II", len(whole), at) + whole[at : at + step]
        for at in range(0, len(whole), step)
    ]
    return guid, bodies


def test_extended_xmp_promises_nothing_either() -> None:
    note = b' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="%s"'
    guid, bodies = extended(packet(b" " + GCAMERA + b' GCamera:MicroVideo="1"'), 200)
    segments = b"".join(struct.pack(">BBH", 255, 0xE1, len(body) + 2) + body for body in bodies)
    image = io.read_image(photo(packet(note % guid), FILM, segments))
    assert io.left_out(image) == ["film of the motion photo"]
    new, expected = extended(packet(b" " + GCAMERA), 65000)
    assert image.meta.private["jpeg"] == tuple((0xE1, body) for body in expected)
    assert image.meta.xmp == packet(note % new)
    written = coded(image, format="jpeg")
    assert expected[0] in written
    assert opened(written).info["xmp"] == packet(note % new)
    again = coded(image, format="png")  # which holds no extended XMP
    assert again is not None
    assert b"HasExtendedXMP" not in again
    assert b"Rating" in again


def test_other_formats_promise_nothing_either() -> None:
    image = io.read_image(png_of(PHOTO))
    for format in ("png", "webp", "tiff", "jxl", "avif"):
        with_xmp = coded(Image(image.pixels, None, Metadata(xmp=ULTRA)), format=format)
        assert with_xmp is not None
        assert ULTRA in with_xmp
        assert io.read_image(with_xmp).meta.xmp == PLAIN


def test_a_gain_map_of_jpeg_xl_is_named() -> None:
    data = imagecodecs.jpegxl_encode(PHOTO, usecontainer=True)
    more = bytes(data) + boxes.box(b"jhgm", b"\0" + bytes(40))
    image = io.read_image(more)
    assert io.left_out(image) == ["gain map"]
    np.testing.assert_array_equal(image.pixels, io.read_image(bytes(data)).pixels)


def test_a_film_in_an_avif_is_named() -> None:
    data = coded(io.read_image(png_of(PHOTO)), format="avif")
    image = io.read_image(data + boxes.box(b"mpvd", FILM))
    assert io.left_out(image) == ["film of the motion photo"]


ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
KINDS = {
    b"urn:com:apple:photo:2020:aux:hdrgainmap": "gain map",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth": "depth map",
    b"urn:com:somebody:aux:mask": "auxiliary picture",
}


@pytest.mark.parametrize("urn", KINDS)
def test_a_picture_beside_an_avif_is_named(urn: bytes) -> None:
    data = io.write_image(io.read_image(png_of(picture(48, 64, 4))), None, format="avif")
    assert io.left_out(io.read_image(data)) == []  # alpha is part of the picture
    assert ALPHA in data
    image = io.read_image(data.replace(ALPHA, urn.ljust(len(ALPHA), b"\0")))
    assert io.left_out(image) == [KINDS[urn]]
    assert image.alpha is None


@pytest.mark.parametrize("format", ["avif", "heic"])
def test_a_tone_map_beside_the_picture_is_a_gain_map(format: str) -> None:
    if format == "heic":
        pytest.importorskip("pillow_heif")
    plain = Image(PHOTO[None], None, Metadata(exif=exif()))
    data = coded(plain, format=format)
    assert data.count(b"Exif\0") == 1  # an item that says of which kind it is
    image = io.read_image(data.replace(b"Exif\0", b"tmap\0"))
    assert io.left_out(image) == ["gain map"]
