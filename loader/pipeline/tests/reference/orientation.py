"""Makes orientation.txt: which way up Pillow shows files that say it in usual and unusual ways.

    pip install pillow==13.0.0
    python orientation.py > orientation.txt

A line: the orientation that Pillow took, 1 to 8; the format; its bytes in hex, and what they are. Of JPEG, they are segments that
come behind the first two bytes of ../../assets/probe.jpg; of PNG, chunks behind the header of ../../assets/probe.png; of WebP, the file.
"""

import io
import struct
import warnings
import zlib
from pathlib import Path

from PIL import Image, ImageOps

ASSETS = Path(__file__).parents[2] / "assets"
TURNS = {i + 1: turn for i, turn in enumerate([None, *map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2))])}


def directory(*entries, order="<", magic=None, behind=b""):
    """EXIF data: entries of tag, type, count, and four bytes; `behind` lies at 8 + 2 + 12 * entries + 4."""
    head = magic or (b"II*\0" if order == "<" else b"MM\0*")
    data = head + struct.pack(order + "LH", 8, len(entries))
    for tag, kind, count, value in entries:
        data += struct.pack(order + "HHL", tag, kind, count) + value.ljust(4, b"\0")
    return data + bytes(4) + behind


def said(kind, form, *values, order="<", count=None, **more):
    """The orientation as values of a type."""
    data = struct.pack(order + form, *values)
    count = len(values) if count is None else count
    if len(data) <= 4:
        return directory((0x112, kind, count, data), order=order, **more)
    return directory((0x112, kind, count, struct.pack(order + "L", 26)), order=order, behind=data, **more)


def segment(body):
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def exif(data):
    return segment(b"Exif\0\0" + data)


def xmp(text):
    return segment(b"http://ns.adobe.com/xap/1.0/\0" + text)


def chunk(kind, data):
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def itxt(text, compressed):
    text = zlib.compress(text) if compressed else text
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0, 0, 0]) + text)


def webp(**more):
    file = io.BytesIO()
    image = Image.new("RGB", (2, 3))
    image.putdata([(i * 40, 7, 0) for i in range(6)])
    image.save(file, "WEBP", lossless=True, **more)
    return file.getvalue()


six, three = said(3, "H", 6), b'<rdf:Description tiff:Orientation="3"/>'
JPEG = {
    "a SHORT": exif(six),
    "a SHORT, big-endian": exif(said(3, "H", 6, order=">")),
    "a LONG": exif(said(4, "L", 6)),
    "a LONG, big-endian": exif(said(4, "L", 6, order=">")),
    "two SHORTs": exif(said(3, "HH", 6, 3)),
    "three SHORTs, which lie elsewhere": exif(said(3, "HHH", 8, 1, 1)),
    "two LONGs": exif(said(4, "LL", 8, 1)),
    "two LONGs, big-endian": exif(said(4, "LL", 8, 1, order=">")),
    "no value": exif(said(3, "H", 6, count=0)),
    "no value, XMP": exif(said(3, "H", 6, count=0)) + xmp(three),
    "three SHORTs, which lie nowhere": exif(directory((0x112, 3, 3, struct.pack("<L", 2600)))),
    "three SHORTs, which lie nowhere, XMP": exif(directory((0x112, 3, 3, struct.pack("<L", 2600)))) + xmp(three),
    "a BYTE": exif(said(1, "B", 6)),
    "a BYTE, XMP": exif(said(1, "B", 6)) + xmp(three),
    "ASCII": exif(said(2, "BB", 54, 0)),
    "UNDEFINED": exif(said(7, "B", 6)),
    "an SBYTE": exif(said(6, "b", 6)),
    "a negative SBYTE": exif(said(6, "b", -2)),
    "an SSHORT": exif(said(8, "h", 6)),
    "an SLONG": exif(said(9, "l", 6, order=">")),
    "a RATIONAL": exif(said(5, "LL", 12, 2, count=1)),
    "a RATIONAL by 0": exif(said(5, "LL", 12, 0, count=1)),
    "an SRATIONAL": exif(said(10, "ll", -12, -2, count=1)),
    "a FLOAT": exif(said(11, "f", 6)),
    "a DOUBLE": exif(said(12, "d", 6, order=">")),
    "a DOUBLE that is none of them": exif(said(12, "d", 6.5)),
    "an IFD": exif(said(13, "L", 6)),
    "a LONG8": exif(said(16, "Q", 6)),
    "an unknown type": exif(said(14, "L", 6)),
    "an unknown type, XMP": exif(said(14, "L", 6)) + xmp(three),
    "an unknown type, then a SHORT": exif(directory((0x112, 14, 1, b"\x09"), (0x112, 3, 1, b"\x06"))),
    "two entries": exif(directory((0x112, 3, 1, b"\x09"), (0x112, 3, 1, b"\x06"))),
    "9, XMP": exif(said(3, "H", 9)) + xmp(three),
    "262": exif(said(3, "H", 262)),
    "another entry only, XMP": exif(directory((0x10F, 3, 1, b"\x06"))) + xmp(three),
    "EXIF before XMP": exif(six) + xmp(three),
    "XMP before EXIF": xmp(three) + exif(six),
    "no EXIF data, XMP": exif(b"") + xmp(three),
    "EXIF data cut short, XMP": exif(six[:14]) + xmp(three),
    "no EXIF by its beginning": exif(b"JJ*\0" + six[4:]),
    "no EXIF by its beginning, XMP": exif(b"JJ*\0" + six[4:]) + xmp(three),
    "the number in the other order": exif(directory((0x112, 3, 1, b"\x06"), magic=b"II\0*")),
    "EXIF's name twice": exif(b"Exif\0\0" + six),
    "EXIF in two segments": exif(six[:14]) + exif(six[14:]),
    "EXIF twice": exif(six) + exif(said(3, "H", 3)),
    "bytes between segments": segment(b"") + b"\x00\x05" + exif(six),
    "XMP, an attribute": xmp(three),
    "XMP, an element": xmp(b"<tiff:Orientation>6</tiff:Orientation>"),
    "XMP, single quotes": xmp(b"<rdf:Description tiff:Orientation='6'/>"),
    "XMP, two digits": xmp(b'tiff:Orientation="68"'),
    "XMP, 9 and then 6": xmp(b'tiff:Orientation="9" tiff:Orientation="6"'),
    "XMP, a letter and then 6": xmp(b'tiff:Orientation="x" tiff:Orientation="6"'),
    "XMP twice": xmp(three) + xmp(b'tiff:Orientation="6"'),
    "XMP, then without": xmp(three) + xmp(b"nothing"),
    "XMP, a zero byte": xmp(b"a\0" + three),
}
PNG = {
    "a SHORT": chunk(b"eXIf", six),
    "a LONG": chunk(b"eXIf", said(4, "L", 6)),
    "two SHORTs": chunk(b"eXIf", said(3, "HH", 6, 3)),
    "XMP": itxt(three, 0),
    "XMP, compressed": itxt(three, 1),
    "EXIF and XMP": chunk(b"eXIf", six) + itxt(three, 0),
}
WEBP = {
    "a SHORT": webp(exif=b"Exif\0\0" + six),
    "a LONG, with EXIF's name": webp(exif=b"Exif\0\0" + said(4, "L", 6)),
    "XMP": webp(xmp=three),
    "EXIF and XMP": webp(exif=b"Exif\0\0" + six, xmp=three),
}


def taken(file):
    stored = Image.open(io.BytesIO(file)).convert("RGB")
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
    turned = {number: stored if turn is None else stored.transpose(turn) for number, turn in TURNS.items()}
    key = lambda image: (image.size, image.tobytes())
    [number] = [number for number, image in turned.items() if key(image) == key(shown)]
    return number


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    jpeg, png = (ASSETS / "probe.jpg").read_bytes(), (ASSETS / "probe.png").read_bytes()
    kinds = ("jpeg", JPEG, jpeg, 2), ("png", PNG, png, 33), ("webp", WEBP, b"", 0)
    for name, cases, around, at in kinds:
        for what, data in cases.items():
            number = taken(around[:at] + data + around[at:])
            print(number, name, data.hex(), what)
