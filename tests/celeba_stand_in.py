"""A small CelebA, in the files and folders of the real one."""

from pathlib import Path

from helpers import made_up_picture

# As list_attr_celeba.txt names them (mtabn/datasets/celeba.py of github.com/machine-perception-robotics-group/
# ABN_CelebA_PyTorch has the same).
NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair
Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones
Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline
Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick
Wearing_Necklace Wearing_Necktie Young
"""
PARTITION = (0, 0, 0, 0, 1, 1, 2, 2, 2)  # training, validation, test

# Where each lies: torchvision's and data/README.md's, the site's own, and celeba.py's of the authors' first release.
LAYOUTS = {
    "torchvision": ("celeba", "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"),
    "site": ("", "Anno/list_attr_celeba.txt", "Eval/list_eval_partition.txt", "Img/img_align_celeba"),
    "first release": ("", "Anno/list_attr_celeba.txt", "list_eval_partition.txt", "Img/img_celeba"),
}


def label(picture: int) -> tuple[int, ...]:
    """The 40 answers of a picture, each its own."""
    return tuple((picture >> task % 4) & 1 ^ (task // 20) for task in range(40))


def write_celeba(root: Path, layout: str = "torchvision", partition=PARTITION) -> list[Path]:
    """Gives the pictures, 000001.jpg first."""
    below = root / LAYOUTS[layout][0]
    attributes, splits, pictures = (below / part for part in LAYOUTS[layout][1:])
    pictures.mkdir(parents=True)
    names = [f"{place:06d}.jpg" for place in range(1, len(partition) + 1)]
    for seed, name in enumerate(names):
        made_up_picture(45, 55, seed).save(pictures / name)
    rows = [f"{name} {' '.join(f'{2 * v - 1:2d}' for v in label(place))}" for place, name in enumerate(names)]
    for file, lines in (
        (attributes, [str(len(names)), " ".join(NAMES.split()) + " ", *rows]),
        (splits, [f"{name} {part}" for name, part in zip(names, partition, strict=True)]),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    return [pictures / name for name in names]
