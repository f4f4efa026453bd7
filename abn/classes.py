"""Class names: of the data sets that published networks were trained on, in their own order; and what a checkpoint's
labels are shown as and can be asked for by."""

import re
from collections import Counter
from collections.abc import Mapping

from torchvision.models._meta import _IMAGENET_CATEGORIES
from transformers import PreTrainedConfig

from . import imagenette
from .names import nfc

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = tuple(
    """apple, aquarium_fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, butterfly,
    camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, couch, crab, crocodile, cup,
    dinosaur, dolphin, elephant, flatfish, forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn_mower,
    leopard, lion, lizard, lobster, man, maple_tree, motorcycle, mountain, mouse, mushroom, oak_tree, orange, orchid,
    otter, palm_tree, pear, pickup_truck, pine_tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray,
    road, rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel, streetcar,
    sunflower, sweet_pepper, table, tank, telephone, television, tiger, tractor, train, trout, tulip, turtle,
    wardrobe, whale, willow_tree, wolf, woman, worm""".replace("\n", " ").split(", ")
)
CIFAR100 = tuple(" ".join(name.replace("_", " ").split()) for name in CIFAR100)
CELEBA = tuple(
    """5 o'clock shadow, arched eyebrows, attractive, bags under eyes, bald, bangs, big lips, big nose, black hair,
    blond hair, blurry, brown hair, bushy eyebrows, chubby, double chin, eyeglasses, goatee, gray hair, heavy makeup,
    high cheekbones, male, mouth slightly open, mustache, narrow eyes, no beard, oval face, pale skin, pointy nose,
    receding hairline, rosy cheeks, sideburns, smiling, straight hair, wavy hair, wearing earrings, wearing hat,
    wearing lipstick, wearing necklace, wearing necktie, young""".replace("\n", " ").split(", ")
)
CELEBA = tuple(" ".join(name.split()) for name in CELEBA)
LETTERS = 200  # of a class's name that are shown; ImageNet's longest synonyms have 120
IMAGENET = tuple(_IMAGENET_CATEGORIES)


def names_for(arch: str, count: int, multitask: bool = False) -> dict[int, str] | None:
    """id2label of the data set that a network of this kind and number of classes was published for; None if unknown."""
    if multitask:
        return dict(enumerate(CELEBA)) if count == len(CELEBA) else None
    known = (CIFAR10, CIFAR100) if arch.endswith("-cifar") else (imagenette.CLASSES, IMAGENET)
    return next((dict(enumerate(names)) for names in known if len(names) == count), None)


# The reference's training wrote a class under any of its names, or under all of them: "gas pump / gasoline pump / …".
_IMAGENETTE = {name: names[0] for names in imagenette.NAMES for name in names}
_BY_WORDNET = dict(zip(imagenette.WNIDS, imagenette.CLASSES, strict=True))


def _usual_names(labels: list[str]) -> list[str] | None:
    """Imagenette's usual names, where each label is one or several names of one of its classes, and no class comes
    twice; None elsewhere."""
    usual = []
    for label in labels:
        meant = {_IMAGENETTE.get(name.strip()) for name in re.split("[/,]", label)}
        if len(meant) != 1 or None in meant:
            return None
        usual += meant
    return usual if len(set(usual)) == len(usual) else None


def _cut(name: str) -> str:
    """A file may call its classes what it likes."""
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def names_of(config: PreTrainedConfig) -> dict[int, str]:
    """index -> name: what transformers makes of any `id2label`, and of none."""
    return config.id2label  # ty: ignore[invalid-explicit-return]  # as it may be given


def shown_names(id2label: dict[int, str]) -> list[str]:
    """What each class is called in all that is shown, every class differently.

    Imagenette's classes by their usual names; two classes of one name with their index: "crane (134)", "crane (517)".
    """
    labels = [_cut(str(id2label[index])) for index in range(len(id2label))]
    labels = _usual_names(labels) or labels
    repeated = {label for label, count in Counter(labels).items() if count > 1}
    taken = set(labels) - repeated
    names = []
    for index, label in enumerate(labels):
        name = label
        while name in repeated or (label in repeated and name in taken):
            name = f"{name} ({index})"
        taken.add(name)
        names.append(name)
    return names


def indices_by_name(id2label: dict[int, str], label2id: Mapping[str, int | str] | None) -> dict[str, list[int]]:
    """Every name that a class can be asked for by -> the classes it stands for: one, but for a name that several bear.

    The names shown, those of id2label, their aliases in label2id, and all of Imagenette's (its folders' WordNet ids,
    too) where the classes are its.
    """
    shown = shown_names(id2label)
    found = {name: [index] for index, name in enumerate(shown)}
    own: dict[str, list[int]] = {}
    for index in range(len(id2label)):
        own.setdefault(str(id2label[index]), []).append(index)
    aliases = {str(name): [int(index)] for name, index in (label2id or {}).items() if str(index).isdecimal()}
    aliases = {name: indices for name, indices in aliases.items() if indices[0] in id2label}
    synonyms = {}
    if _usual_names([str(id2label[index]) for index in range(len(id2label))]):
        known = {**_IMAGENETTE, **_BY_WORDNET}
        synonyms = {name: found[usual] for name, usual in known.items() if usual in found}
    known = {**synonyms, **aliases, **own, **found}
    return {**{nfc(name): indices for name, indices in known.items()}, **known}
