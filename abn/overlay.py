"""The attention map as colour, added to the picture: RGB in, RGB out.

At alpha 1 this is the picture the original authors' code writes: `cv2.add(picture, JET of uint8(255 * heatmap))`.
"""

import cv2
import numpy as np

COLOURMAPS = {
    "jet": cv2.COLORMAP_JET,  # the paper's
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,  # this and the next two are perceptually uniform
    "inferno": cv2.COLORMAP_INFERNO,
    "cividis": cv2.COLORMAP_CIVIDIS,
}


def jet(heatmap: np.ndarray, stretch: bool = False) -> np.ndarray:
    """(H, W) heatmap in [0, 1] -> (H, W, 3) uint8 RGB in the JET colours; see `coloured`."""
    return coloured(heatmap, "jet", stretch)


def coloured(heatmap: np.ndarray, colourmap: str = "jet", stretch: bool = False) -> np.ndarray:
    """(H, W) heatmap in [0, 1] -> (H, W, 3) uint8 RGB.

    Args:
        colourmap: one of `COLOURMAPS`.
        stretch: spread the map's own least to greatest value over all colours (a constant map is left as it is).
            Off by default: stretched pictures cannot be compared with each other.

    Raises:
        ValueError: an unknown colour map; or a heatmap that is not (H, W), not finite, or outside [0, 1].
    """
    if colourmap not in COLOURMAPS:
        raise ValueError(f"colourmap must be one of {', '.join(map(repr, COLOURMAPS))}; got {colourmap!r}")
    heatmap = np.asarray(heatmap, dtype=np.float32)
    if heatmap.ndim != 2 or heatmap.size == 0:
        raise ValueError(f"a heatmap must be (H, W); got {heatmap.shape}")
    low, high = float(heatmap.min()), float(heatmap.max())
    if not (low >= 0 and high <= 1):  # NaN fails both
        raise ValueError(f"a heatmap must hold finite values in [0, 1]; got {low} to {high}")
    if stretch and high > low:
        heatmap = (heatmap - low) / (high - low)
    bgr = cv2.applyColorMap((255 * heatmap).astype(np.uint8), COLOURMAPS[colourmap])
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def overlay(
    picture: np.ndarray, heatmap: np.ndarray, alpha: float = 1.0, stretch: bool = False, colourmap: str = "jet"
) -> np.ndarray:
    """picture + alpha * coloured(heatmap), saturated at 255.

    Args:
        picture: (H, W, 3) uint8 RGB.
        heatmap: (H, W) in [0, 1], on the picture's pixels.
        alpha: 0 (the picture itself) to 1.
        stretch, colourmap: see `coloured`.

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
    colours = coloured(heatmap, colourmap, stretch)
    if colours.shape != picture.shape:
        raise ValueError(f"the heatmap's {colours.shape[:2]} pixels are not the picture's {picture.shape[:2]}")
    return cv2.addWeighted(picture, 1.0, colours, float(alpha), 0.0)
