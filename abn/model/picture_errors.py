"""What can be wrong with a picture."""


class PictureError(ValueError):
    """What was given is no picture, or none that can be used; says why."""


class NumberError(PictureError, TypeError):
    """An array of numbers that a picture is not made of."""
