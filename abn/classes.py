"""Class names of the data sets that published networks were trained on, in their own order."""

from torchvision.models._meta import _IMAGENET_CATEGORIES

from . import imagenette

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
IMAGENET = tuple(_IMAGENET_CATEGORIES)


def names_for(arch: str, count: int, multitask: bool = False) -> dict[int, str] | None:
    """id2label of the data set that a network of this kind and number of classes was published for; None if unknown."""
    if multitask:
        return dict(enumerate(CELEBA)) if count == len(CELEBA) else None
    known = (CIFAR10, CIFAR100) if arch.endswith("-cifar") else (imagenette.CLASSES, IMAGENET)
    return next((dict(enumerate(names)) for names in known if len(names) == count), None)
