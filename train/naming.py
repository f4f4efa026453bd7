"""Which of a checkpoint's classes is which of the data's: by name, whatever their order."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from transformers import PreTrainedModel

from abn import imagenette
from abn.classes import indices_by_name
from abn.names import nfc
from train.sources import Source

NAMELESS = re.compile(r"LABEL_\d+")  # what transformers writes where nobody named the classes


def class_order(checkpoint: str | Path, model: PreTrainedModel, source: Source) -> list[int]:
    """The model's index of each of the data's classes.

    A name counts in any normal form, case and punctuation; so do a class's aliases in label2id and, of Imagenette's
    classes, all their names and WordNet ids. The model may know more classes. Without names the order counts.

    Raises:
        ValueError: the model does not know a class of the data, or knows two of its name; says which.
    """
    known = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    if all(map(NAMELESS.fullmatch, known)) and len(known) == len(source.classes):
        return list(range(len(known)))
    tables = _tables(known, indices_by_name(model.config.id2label, model.config.label2id))
    order: list[int] = []
    synonyms = _synonyms if all(map(_synonyms, source.classes)) else lambda name: []
    for name in source.classes:
        found = _find(name, tables, synonyms)
        if not found:
            raise ValueError(_unknown(checkpoint, known, source, name, lambda other: _find(other, tables, synonyms)))
        if len(found) > 1:
            raise ValueError(f"{checkpoint} knows {len(found)} classes that {name!r} of {source.name} could be")
        order += found
    for place, index in enumerate(order):
        if index in order[:place]:
            both = f"{source.classes[order.index(index)]!r} and {source.classes[place]!r}"
            raise ValueError(f"{checkpoint} knows one class, {known[index]!r}, for both {both} of {source.name}")
    return order


def index_of_class(name: str, model: PreTrainedModel) -> int | None:
    """The model's index of a class of that name, read as `class_order` does; None where there is none, or several."""
    known = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    found = _find(name, _tables(known, indices_by_name(model.config.id2label, model.config.label2id)), _synonyms)
    return found[0] if len(found) == 1 else None


def check_same_order(checkpoint: str | Path, model: PreTrainedModel, source: Source) -> None:
    """Raises: ValueError: the model's classes are not the data's, all of them, in their order."""
    order, known = class_order(checkpoint, model, source), model.config.num_labels
    if known != len(order):
        raise ValueError(f"{checkpoint} knows {known} classes; {source.name} has {len(order)}")
    for place, index in enumerate(order):
        if place != index:
            other, name = model.config.id2label[place], source.classes[place]
            raise ValueError(
                f"{checkpoint} has the classes of {source.name} in another order: {other!r} in place of {name!r}; "
                "it can be evaluated, but not trained on"
            )


def _tables(known: Sequence[str], by_name: dict[str, list[int]]) -> list[dict[str, set[int]]]:
    """Name -> indices; from the strictest to the loosest: as they are, their letters and digits alone, and the single
    names of labels such as "tench, Tinca tinca"."""
    pairs = [(name, index) for name, indices in by_name.items() for index in indices]
    parts = [(part, index) for index, label in enumerate(known) for part in re.split("[,/]", label)]
    loose = [(_loose(name), index) for name, index in pairs]
    return [_table((nfc(n), i) for n, i in pairs), _table(loose), _table((_loose(n), i) for n, i in parts)]


def _table(pairs: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    table: dict[str, set[int]] = {}
    for name, index in pairs:
        table.setdefault(name, set()).add(index)
    return table


def _loose(name: str) -> str:
    return re.sub(r"[\W_]+", " ", nfc(name)).strip().casefold()


def _find(name: str, tables: list[dict[str, set[int]]], synonyms: Callable[[str], list[str]]) -> list[int]:
    for names in ([name], synonyms(name)):
        for table, form in zip(tables, (nfc, _loose, _loose), strict=True):
            if found := set().union(*(table.get(form(one), ()) for one in names if form(one))):
                return sorted(found)
    return []


def _synonyms(name: str) -> list[str]:
    """All names of Imagenette's class that goes by this one, its WordNet id included; none of other classes."""
    for wnid, names in zip(imagenette.WNIDS, imagenette.NAMES, strict=True):
        if _loose(name) in map(_loose, (wnid, *names)):
            return [*names, wnid]
    return []


def _unknown(checkpoint, known: Sequence[str], source: Source, name: str, find: Callable) -> str:
    if len(known) != len(source.classes):
        return f"{checkpoint} knows {len(known)} classes; {source.name} has {len(source.classes)}, among them {name!r}"
    matched = {index for other in source.classes for index in find(other)}
    spare = next((label for index, label in enumerate(known) if index not in matched), known[0])
    return f"{checkpoint} knows other classes than {source.name}: {spare!r} in place of {name!r}"
