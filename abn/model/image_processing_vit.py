"""Preprocessing of a Vision Transformer."""

from .versions import TRANSFORMERS  # noqa: F401 - first: it says so where transformers is too old

# isort: split
# What `image_processing_abn` needs is named here, too: transformers 4 copies only what this file imports itself.
from .arrays import as_bytes  # noqa: F401
from .errors import PictureError  # noqa: F401
from .heic import can_read  # noqa: F401
from .image_processing_abn import AbnImageProcessor, Geometry
from .picture_orientation import orientation  # noqa: F401
from .picture_repair import repaired  # noqa: F401
from .pictures import load_rgb  # noqa: F401


class VitImageProcessor(AbnImageProcessor):
    """The whole picture, squashed to the network's own size: its position embeddings know no other."""

    def _plan(self, picture: tuple[int, int], *, view: str, size, crop_size) -> Geometry:
        return super()._plan(picture, view="model", size=size, crop_size=crop_size)
