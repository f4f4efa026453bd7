"""A dataclass's fields are its flags: what argparse is told, and what values are allowed, stands in their metadata."""

import argparse
import dataclasses
import math
import os
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Option:
    """What a field says of its flag, `--its-name`.

    names: other names, short or long. least, most, above: bounds of a number, the first two included. choices: all that
    it may be. path: whether ~ stands for the home folder. empty: whether a list may be. bare: what the flag means
    without a value. group: the title it is listed under, in place of its dataclass's. against: fields that contradict
    it. needs: a field without which it has no meaning.
    """

    names: tuple[str, ...] = ()
    help: str | None = None
    metavar: str | tuple[str, ...] | None = None
    least: float | None = None
    most: float | None = None
    above: float | None = None
    choices: tuple | None = None
    path: bool = False
    empty: bool = False
    bare: str | None = None
    group: str | None = None
    against: tuple[str, ...] = ()
    needs: str | None = None


def option(default: Any, *names: str, **more: Any) -> Any:
    """A field of a dataclass that is a flag; see `Option`. default: MISSING for a field that needs a value."""
    return dataclasses.field(default=default, metadata={"option": Option(names, **more)})


def options_of(kind: Any) -> Iterator[tuple[Field, Option]]:
    """The fields of a dataclass, or of one of its instances, that are flags."""
    return ((field, field.metadata["option"]) for field in fields(kind) if "option" in field.metadata)


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def add_options(
    parser: argparse.ArgumentParser, titles: Mapping[str, Sequence[type]], overriding: Collection[type] = ()
) -> None:
    """Add the flags of dataclasses, under titles.

    Args:
        overriding: those whose flags stand in place of a value from elsewhere: they are None where nothing is said, and
            what is on there can be switched off.
    """
    groups = {title: parser.add_argument_group(title) for title in titles}
    for title, kind in ((title, kind) for title, kinds in titles.items() for kind in kinds):
        hints = typing.get_type_hints(kind)
        for field, about in options_of(kind):
            short = [name for name in about.names if not name.startswith("--")]
            names = [*short, flag(field.name), *(name for name in about.names if name not in short)]
            how = _of_type(hints[field.name], about, kind in overriding)
            default = None if kind in overriding else field.default
            groups[about.group or title].add_argument(*names, dest=field.name, default=default, help=about.help, **how)


def _of_type(hint: Any, about: Option, overriding: bool) -> dict[str, Any]:
    """The arguments of argparse's add_argument for a field of that type."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if isinstance(hint, types.UnionType):
        (hint,) = kinds
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction if overriding else "store_true"}
    how: dict[str, Any] = {"choices": about.choices, "metavar": about.metavar}
    if about.bare is not None:
        how |= {"nargs": "?", "const": about.bare}
    elif typing.get_origin(hint) is tuple and Ellipsis not in kinds:
        how["nargs"] = len(kinds)
    elif kinds:
        how["nargs"] = "*" if about.empty else "+"
    kind = kinds[0] if kinds else hint
    if about.path:
        return how | {"type": os.path.expanduser}
    return how | {"type": partial(_whole_number, least=about.least) if kind is int else kind}


def _whole_number(text: str, least: float | None) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number; got {text!r}") from None
    if least is not None and number < least:
        raise argparse.ArgumentTypeError(f"must be {least:g} or more; got {text}")
    return number


def said(asked: Any, name: str) -> bool:
    """Whether something was said of a field: False, where it is so anyway, is nothing."""
    value = getattr(asked, name)
    return value is not None and not (value is False and _default(asked, name) is False)


def _default(asked: Any, name: str) -> Any:
    (field,) = (field for field in fields(asked) if field.name == name)
    return field.metadata.get("default", field.default)


def check_together(asked: Any) -> None:
    """Raises: ValueError: two of the flags that were given contradict each other, or one lacks another."""
    for field, about in options_of(asked):
        for other in about.against if said(asked, field.name) else ():
            if said(asked, other):
                raise ValueError(f"{flag(field.name)} and {flag(other)} contradict each other")
    for field, about in options_of(asked):
        if about.needs and said(asked, field.name) and not said(asked, about.needs):
            raise ValueError(f"{flag(field.name)} goes with {flag(about.needs)}")


def check_values(values: Any) -> None:
    """Raises: ValueError: a field of a dataclass is out of its bounds, or none of its choices."""
    for field, about in options_of(values):
        value = getattr(values, field.name)
        if about.choices and value is not None and value not in about.choices:
            raise ValueError(f"{flag(field.name)} must be {' or '.join(map(str, about.choices))}; got {value!r}")
        for number in value if isinstance(value, tuple) else (value,):
            if fault := _out_of_bounds(number, about):
                raise ValueError(f"{flag(field.name)} must be {fault}; got {number}")


def _out_of_bounds(number: float, about: Option) -> str | None:
    """What it should be; None where it is."""
    if about.above is not None:
        return None if math.isfinite(number) and number > about.above else f"above {about.above:g}"
    if about.least is not None and about.most is not None:
        return None if about.least <= number <= about.most else f"between {about.least:g} and {about.most:g}"
    if about.least is not None:
        return None if math.isfinite(number) and number >= about.least else f"{about.least:g} or more"
    return None


def optional(kind: type) -> list[tuple[str, Any, Field]]:
    """A dataclass's flags as fields for `dataclasses.make_dataclass`: None where nothing is said."""
    found = []
    for field, about in options_of(kind):
        metadata = {"option": about, "default": None if field.default is MISSING else field.default}
        found.append((field.name, Any, dataclasses.field(default=None, metadata=metadata)))
    return found
