"""Files whose pixels are whole and whose rest is not: the same pixels in a file that can be read.

Pillow refuses a whole picture for what viewers pass over: a text or profile chunk that is too large or has a wrong
checksum, EXIF that cannot be parsed, a JPEG that ends before its end marker. Here such a file is written again from its
bytes, without what the pixels do not need. What is really cut stays cut, so that reading it still fails.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from .picture_orientation import UPRIGHT, in_exif

PNG = b"\x89PNG\r\n\x1a\n"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
STANDALONE = (0x01, *range(0xD0, 0xD9))  # JPEG's markers without a length
SOS, APP0, APP1, APP14, COM = 0xDA, 0xE0, 0xE1, 0xEE, 0xFE
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# What might have stood where a JPEG breaks off, beginning with each pair of bits; no 0xFF, which begins a marker
TAILS = tuple(bytes([first, *(1 + (37 * first + 101 * i) % 250 for i in range(200))]) for first in (0, 90, 165, 252))
WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
TIFF_PIXELS = frozenset(  # tags that say where the pixels are and what they mean; the orientation among them
    tag
    for first, last in ((254, 259), (262, 266), (273, 274), (277, 284), (292, 293), (317, 347), (512, 532))
    for tag in range(first, last + 1)
)


def repaired(content: bytes) -> Iterator[tuple[bytes, int | None]]:
    """A file's bytes that could not be read -> the files to try in its place, best first: (bytes, orientation).

    orientation: 1 to 8 where it was taken out of what is left away; None where it still stands in the file.
    """
    kind = _kind(content)
    if kind == "JPEG":
        if whole := with_end(content):
            yield whole, None
        bare, how = bare_jpeg(content)
        yield bare, how
        if whole := with_end(bare):
            yield whole, how
    elif kind == "PNG":
        yield bare_png(content)
    elif kind == "WEBP":
        yield bare_webp(content)
    elif kind == "TIFF":
        yield bare_tiff(content), None
    elif kind == "AVIF":
        yield without_exif_item(content), None


def can_repair(head: bytes) -> bool:
    """Whether a file that begins with these 12 bytes or more is of a kind that `repaired` knows."""
    return _kind(head) is not None


def _kind(head: bytes) -> str | None:
    if head.startswith(SOI):
        return "JPEG"
    if head.startswith(PNG):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    return "AVIF" if head[4:8] == b"ftyp" else None


def bare_png(content: bytes) -> tuple[bytes, int]:
    """A PNG's critical chunks and its transparency, and the orientation of the EXIF that is left away.

    A chunk that the file's end cuts is kept as far as it goes: pixels that are missing stay missing.
    """
    kept, how, place = [PNG], UPRIGHT, len(PNG)
    while len(content) - place >= 8:
        length, kind = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + length]
        whole = content[place + 8 + length : place + 12 + length] == _checksum(kind, data)
        place += 12 + length
        if kind == b"IDAT":
            kept.append(_png_chunk(kind, data))
        elif kind == b"IEND" or not kind.isalpha():
            break
        elif kind[:1].isupper() or (kind == b"tRNS" and whole):
            kept.append(content[place - 12 - length : place])
        elif kind == b"eXIf" and whole:
            how = in_exif(data)
    return b"".join(kept) + _png_chunk(b"IEND", b""), how


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + _checksum(kind, data)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def bare_jpeg(content: bytes) -> tuple[bytes, int]:
    """A JPEG without application segments and comments, and the orientation of the EXIF among them.

    Of those, JFIF's and Adobe's stay where they are whole: they say what the colours are.
    """
    kept, how = [SOI], UPRIGHT
    for marker, start, stop in _segments(content):
        if marker == SOS:
            kept.append(content[start:])
            break
        data = content[start + 4 : stop]
        if marker == APP1 and data.startswith(b"Exif\0") and how == UPRIGHT:
            how = in_exif(data)
        jfif = marker == APP0 and data.startswith(b"JFIF\0") and len(data) >= 14
        adobe = marker == APP14 and data.startswith(b"Adobe") and len(data) >= 12
        if jfif or adobe or not (APP0 <= marker <= 0xEF or marker == COM):
            kept.append(content[start:stop])
    return b"".join(kept), how


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, stop) of a JPEG's segments, the pixels' data passed over, as libjpeg finds them: whatever stands
    between two segments is skipped."""
    place = 2
    while (place := content.find(b"\xff", place)) >= 0 and place + 1 < len(content):
        marker = content[place + 1]
        if marker in (0, 0xFF):
            place += 2 - (marker == 0xFF)
        elif marker in STANDALONE:
            place += 2
        elif marker == EOI[1] or place + 4 > len(content):
            return
        else:
            stop = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
            yield marker, place, stop
            place = stop


def with_end(content: bytes) -> bytes | None:
    """A JPEG that lacks its end marker, or half of it, with one; None where more is missing than that.

    Whether pixels are missing cannot be seen from the bytes. But where they are, what follows the break decides how
    they come out: so the file is decoded with several continuations, and is whole if they make no difference.
    """
    if not _all_scans(content):
        return None
    body = content.rstrip(b"\0") if content.endswith(b"\0\0") else content  # room that was never written
    body = body.removesuffix(b"\xff")
    whole = body + EOI
    tails = [*TAILS, _next_restart(body) + TAILS[0]]
    try:
        pixels = _pixels(whole)
        return whole if all(_pixels(body + tail + EOI) == pixels for tail in tails) else None
    except Exception:  # as everywhere: Pillow's decoders raise what they like
        return None


def _next_restart(body: bytes) -> bytes:
    """The marker that a JPEG's pixels go on with where they are cut between two restart intervals."""
    scan = max((start for marker, start, _ in _segments(body) if marker == SOS), default=0)
    found = re.findall(rb"\xff([\xd0-\xd7])", body[scan:])
    return bytes([0xFF, 0xD0 + (found[-1][0] - 0xCF) % 8 if found else 0xD0])


def _pixels(jpeg: bytes) -> bytes:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
        return opened.tobytes()


def _all_scans(content: bytes) -> bool:
    """Whether a JPEG's scans bring every coefficient of every component to its last bit."""
    progressive, missing = False, None
    for marker, start, stop in _segments(content):
        data = content[start + 4 : stop]
        if marker in FRAMES and len(data) >= 6:
            progressive = marker in PROGRESSIVE
            parts = range(64) if progressive else (0,)
            missing = {(component, k) for component in data[6 : 6 + 3 * data[5] : 3] for k in parts}
        elif marker == SOS and missing is not None and data and len(data) >= 4 + 2 * data[0]:
            first, last, bits = data[1 + 2 * data[0] : 4 + 2 * data[0]]
            if progressive and bits & 15:
                continue
            parts = range(first, last + 1) if progressive else (0,)
            missing -= {(component, k) for component in data[1 : 1 + 2 * data[0] : 2] for k in parts}
    return missing is not None and not missing


def bare_webp(content: bytes) -> tuple[bytes, int]:
    """A WebP's picture, and the orientation of the EXIF that is left away."""
    kept, how, place = [], UPRIGHT, 12
    while len(content) - place >= 8:
        kind, length = struct.unpack_from("<4sI", content, place)
        stop = place + 8 + length + length % 2
        data = content[place + 8 : place + 8 + length]
        if kind == b"VP8X" and len(data) >= 10:
            kept.append(content[place : place + 8] + bytes([data[0] & 0x12]) + data[1:])  # alpha and animation stay
        elif kind in WEBP_PIXELS:
            kept.append(content[place:stop])
        elif kind == b"EXIF":
            how = in_exif(data)
        place = stop
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body, how


def bare_tiff(content: bytes) -> bytes:
    """A TIFF's first page with the tags alone that its pixels need, at the places where they were."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, start)
        entries = [content[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
        kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] in TIFF_PIXELS]
    except struct.error:
        return content
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)  # and no next page
    return content[:start] + directory + content[start + len(directory) :]


def without_exif_item(content: bytes) -> bytes:
    """An AVIF or HEIC whose EXIF item is of a type that nobody reads; its own boxes say how it is turned."""
    place = 0
    while len(content) - place >= 8:
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"meta":
            box = content[place : place + length]
            return content[:place] + box.replace(b"Exif", b"none") + content[place + length :]
        if length < 8:
            break
        place += length
    return content


def scans(content: bytes, most: int) -> int:
    """How many scans a JPEG has, counted up to one more than `most`; each of a progressive one goes over all pixels.
    1 for a file whose one scan holds all that will be decoded."""
    place, found, sequential, parts = 2, 0, True, b""
    while found <= most and (marker := _MARKER.search(content, place)):
        code, place = content[marker.end() - 1], marker.end()
        if code == EOI[1]:
            break
        if code in STANDALONE:
            continue
        segment = content[place : place + 12]
        if code in FRAMES:
            sequential, parts = code not in PROGRESSIVE, segment[7:8]
        if code == SOS:
            found += 1
            if sequential and found == 1 and segment[2:3] == parts:
                break
        place += max(2, int.from_bytes(segment[:2], "big"))
    return found


def is_baseline(content: bytes) -> bool:
    """Whether a JPEG's pixels are in one scan that is decoded once, from top to bottom."""
    frame = next((found for found in _MARKER.finditer(content[:65536]) if found[0][-1] in FRAMES), None)
    return frame is not None and frame[0][-1] in (0xC0, 0xC1) and scans(content, 1) == 1


_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
