"""The attention map as colour, added to the picture: RGB in, RGB out.

At alpha 1 this is the picture the original authors' code writes: `cv2.add(picture, JET of uint8(255 * heatmap))`.
"""

import cv2
import numpy as np


def jet(heatmap: np.ndarray, stretch: bool = False) -> np.ndarray:
    """(H, W) heatmap in [0, 1] -> (H, W, 3) uint8 RGB in the JET colours.

    Args:
        stretch: spread the map's own least to greatest value over all colours (a constant map is left as it is).
            Off by default: stretched pictures cannot be compared with each other.

    Raises:
        ValueError: not (H, W), not finite, or outside [0, 1].
    """
    heatmap = np.asarray(heatmap, dtype=np.float32)
    if heatmap.ndim != 2 or heatmap.size == 0:
        raise ValueError(f"a heatmap must be (H, W); got {heatmap.shape}")
    low, high = float(heatmap.min()), float(heatmap.max())
    if not (low >= 0 and high <= 1):  # NaN fails both
        raise ValueError(f"a heatmap must hold finite values in [0, 1]; got {low} to {high}")
    if stretch and high > low:
        heatmap = (heatmap - low) / (high - low)
    bgr = cv2.applyColorMap((255 * heatmap).astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def overlay(picture: np.ndarray, heatmap: np.ndarray, alpha: float = 1.0, stretch: bool = False) -> np.ndarray:
    """picture + alpha * jet(heatmap), saturated at 255.

    Args:
        picture: (H, W, 3) uint8 RGB.
        heatmap: (H, W) in [0, 1], on the picture's pixels.
        alpha: 0 (the picture itself) to 1.
        stretch: see `jet`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: shapes that differ, or alpha outside [0, 1].
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a picture must be (H, W, 3) uint8; got {picture.shape} {picture.dtype}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1]; got {alpha}")
    colours = jet(heatmap, stretch)
    if colours.shape != picture.shape:
        raise ValueError(f"the heatmap's {colours.shape[:2]} pixels are not the picture's {picture.shape[:2]}")
    return cv2.addWeighted(picture, 1.0, colours, float(alpha), 0.0)
