"""What Gradio does while it is imported that a server can do without."""

import contextlib
import inspect
from collections.abc import Iterator


@contextlib.contextmanager
def without_interface_files() -> Iterator[None]:
    """Inside, Gradio writes no interface files.

    It parses the source of every component class as the class is defined, for a .pyi file beside it that editors read:
    half of Gradio's import. Classes that come from no file are left out; inside, components come from none.
    """
    of_file = inspect.getfile

    def getfile(thing):
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("no interface files while starting")
        return of_file(thing)

    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = of_file
