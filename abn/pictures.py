"""Any picture -> upright 8-bit RGB. The code lies in `abn.model`: saved checkpoints carry it along."""

from .model.pictures import NumberError, PictureError, Reduced, fitted, from_array, load_rgb, resized, to_rgb

__all__ = ["NumberError", "PictureError", "Reduced", "fitted", "from_array", "load_rgb", "resized", "to_rgb"]
