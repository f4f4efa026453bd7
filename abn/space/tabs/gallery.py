"""The Gallery tab: validation pictures with their attention, right and wrong."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ...packing import packed_map
from ...survey.folder import GROUPS
from ..context import Asked
from ..server.examples import Example
from ..server.explained import Entry

ORDERS = ("as_is", "wrong", "most", "least", *GROUPS)
PAGE = 24  # pictures of an answer


def gallery(asked: Asked) -> Iterator[dict]:
    """A page of the gallery: `label`, the class asked for ("" for all); `order`, of ORDERS; `start`, how many came
    before. Yields {done, count} while pictures are being explained, and at last the page; a first page of all
    pictures comes as soon as it is full."""
    served, examples = asked.served, mixed(asked.context.gallery.examples)
    label, start = asked.text("label"), asked.values.get("start")
    order = asked.text("order") if asked.text("order") in ORDERS else ORDERS[0]
    start = start if isinstance(start, int) and start >= 0 else 0
    early, editable = order == "as_is" and start == 0, not served.explainer.abilities.uneditable
    for entries in asked.context.explained.entries(served, examples):
        if len(entries) == len(examples):
            break
        answer = {"done": len(entries), "count": len(examples)}
        kept = chosen(entries, label, order)
        if early and len(kept) >= PAGE:
            answer["cards"], early = cards_of(kept[:PAGE], editable), False
        yield answer
    kept = chosen(entries, label, order)
    yield {
        "cards": cards_of(kept[start : start + PAGE], editable),
        "kept": len(kept),
        "count": len(entries),
        "right": sum(one.right for one in entries),
        "known": any(one.known for one in entries),
    }


def mixed(examples: Sequence[Example]) -> list[Example]:
    """The first of each class, then the second of each, and so on."""
    before: Counter[str] = Counter()
    places = []
    for example in examples:
        places.append(before[example.label])
        before[example.label] += 1
    order = sorted(range(len(places)), key=places.__getitem__)
    return [examples[place] for place in order]


def chosen(entries: Sequence[Entry], label: str, order: str) -> list[Entry]:
    """Those of a class ("" for all), all, the wrong ones or a survey's group, in the order asked for."""
    kept = [one for one in entries if not label or one.example.label == label]
    if order == "wrong":
        kept = [one for one in kept if one.wrong]
    if order in GROUPS:
        ranks = [dict(one.example.groups).get(order) for one in kept]
        return [one for _, _, one in sorted((rank, at, kept[at]) for at, rank in enumerate(ranks) if rank is not None)]
    if order in ("most", "least"):
        kept = sorted(kept, key=lambda one: one.confidence, reverse=order == "most")
    return kept


def cards_of(entries: Sequence[Entry], editable: bool) -> list[dict]:
    """right: null where the model knows no such class. correct: whether it can be corrected, and should be. editable:
    whether the model's map can be edited."""
    return [
        {
            "id": one.example.id,
            "label": one.example.label,
            "drawn": one.example.drawn,
            "answer": one.label,
            "confidence": round(one.confidence, 4),
            "right": one.right if one.known else None,
            "correct": editable and one.wrong,
            "map": packed_map(one.grid, one.geometry),
        }
        for one in entries
    ]


ASKS = {"gallery": gallery}
