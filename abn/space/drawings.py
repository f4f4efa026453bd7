"""Ten drawings, one a class of Imagenette, for a Space that has neither data nor network.

Nothing about them is fitted to any weights: the page shows what the model truly says of each.
"""

from pathlib import Path

from .. import imagenette

FOLDER = Path(__file__).parent / "drawn"
DRAWINGS = {label: FOLDER / f"{label.replace(' ', '-')}.png" for label in imagenette.CLASSES}
