"""Preprocessing of a Vision Transformer."""

from .image_processing_abn import AbnImageProcessor, Geometry


class VitImageProcessor(AbnImageProcessor):
    """The whole picture, squashed to the network's own size: its position embeddings know no other."""

    def _plan(self, picture: tuple[int, int], *, view: str, size, crop_size) -> Geometry:
        return super()._plan(picture, view="model", size=size, crop_size=crop_size)
