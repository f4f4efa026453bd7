"""Random files through the explanation that the server gives: each explained, or refused in words.

python tests/fuzz.py                     # 5,000 files, through the very function behind /explain
"""

import argparse
import io
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from helpers import made_up_picture

from abn.model.pictures import PictureError
from abn.space.server.serving import Serving, answer

KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
MODES = ("RGB", "L", "P", "RGBA", "CMYK", "1", "I;16", "LA")
SLOW = 20.0  # seconds a file may take at most


def encoded(rng: random.Random) -> bytes:
    """A small picture of a random kind and mode, where that kind can hold it."""
    picture = made_up_picture(rng.randint(1, 80), rng.randint(1, 80), seed=rng.randint(0, 999))
    for _ in range(10):
        out = io.BytesIO()
        try:
            picture.convert(rng.choice(MODES)).save(out, rng.choice(KINDS))
        except (OSError, ValueError, KeyError):
            continue
        return out.getvalue()
    return b""


def broken(rng: random.Random) -> bytes:
    """A picture that was cut, spliced, overwritten or whole; or noise."""
    content = bytearray(encoded(rng))
    how = rng.choice(("whole", "cut", "flip", "splice", "noise", "header", "tail"))
    if how == "cut":
        del content[rng.randrange(len(content) + 1) :]
    elif how == "flip":
        for _ in range(rng.randint(1, 40)):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
    elif how == "splice":
        place = rng.randrange(len(content) + 1)
        content[place:place] = encoded(rng)[: rng.randint(0, 200)]
    elif how == "noise":
        content = bytearray(rng.randbytes(rng.randint(0, 2000)))
    elif how == "header":
        content[:16] = rng.randbytes(16)
    elif how == "tail":
        content += rng.randbytes(rng.randint(1, 500))
    return bytes(content)


def run(count: int, seed: int) -> dict[str, int]:
    """How many files were explained and how many refused.

    Raises:
        AssertionError: a file ended in another error than a sentence about it, or took too long.
    """
    rng, served = random.Random(seed), Serving("compact").current
    found = {"explained": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.png"
        for number in range(count):
            file.write_bytes(broken(rng))
            began = time.monotonic()
            try:
                explanation = answer(served, str(file), rng.choice(("whole", "model"))).explanation
                assert abs(sum(explanation.probabilities.values()) - 1) < 1e-3
                found["explained"] += 1
            except PictureError as error:
                if not str(error).startswith(("file.png", "a picture of mode", "the picture")) or folder in str(error):
                    raise AssertionError(f"file {number} of seed {seed}: {error}") from error
                found["refused"] += 1
            except Exception as error:
                raise AssertionError(f"file {number} of seed {seed}: {error!r}") from error
            assert time.monotonic() - began < SLOW, f"file {number} of seed {seed} took too long"
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(run(args.count, args.seed))
