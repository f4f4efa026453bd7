"""HEIC, the photographs of Apple's phones: read by pillow-heif where it is installed (`pip install pillow-heif`).

It is no requirement: its wheel (6 MB, 27 unpacked) holds the encoder x265 and is under the GPL by that. With it, Pillow
opens HEIC as "HEIF", upright: libheif turns a picture by its own boxes, and pillow-heif takes the orientation that EXIF
repeats out of what it tells.
"""

try:  # within `try`: what a saved checkpoint brings along asks nobody to install it
    import pillow_heif
except ImportError:
    READ = False
else:
    pillow_heif.register_heif_opener()
    READ = True

HEVC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
CONTAINERS = (b"mif1", b"msf1")  # of HEIC and AVIF alike


def can_read() -> bool:
    """Whether pillow-heif is installed."""
    return READ


def is_heic(head: bytes) -> bool:
    """Whether a file that begins with these (at least 32, if it has them) bytes says that it is HEIC."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12]] + [head[place : place + 4] for place in range(16, size - 3, 4)]
    avif = any(brand in (b"avif", b"avis") for brand in brands)
    return any(brand in HEVC for brand in brands) or (brands[0] in CONTAINERS and not avif)
