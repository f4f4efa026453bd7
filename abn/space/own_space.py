"""A Space of one's own model: the page's code, the weights, example pictures, and a card. `deploy` pushes it.

Everything that is one's own lies in the folder OWN of the Space; `app.py` reads its settings there (`settings`).
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, ModelCardData
from huggingface_hub.utils import yaml_dump
from PIL import Image

from ..folders import class_folders
from ..model.pictures import fitted, load_rgb, resized
from ..names import shown
from .server.own_examples import validation_folder
from .settings import FILE, OWN
from .space_repo import refusing

CODE = ("app.py", "requirements.txt", "LICENSE", "abn/")  # of this folder
NEEDED = ("config.json", "model.safetensors")
WEIGHTS = (*NEEDED, "preprocessor_config.json", "calibration.json", "metrics.json")
INSIDE = 10_000_000  # bytes of weights that a Space holds itself: above, git there wants LFS or Xet
EXAMPLES = 100
LONGEST = 768  # pixels a side
SHORT = 60  # letters of a Space's short description
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")  # as the Hub writes them


@dataclass(frozen=True)
class Own:
    """What a Space is made of.

    name: the Space's, without its owner. model: the Hub repository of the weights; None: they lie in the Space.
    licence: of pictures and weights, by the Hub's name.
    """

    name: str
    checkpoint: Path
    examples: Path
    licence: str
    model: str | None = None
    title: str = ""
    description: str = ""

    def __post_init__(self):
        """
        Raises:
            FileNotFoundError: the checkpoint or the examples are not there.
            ValueError: the checkpoint is none, or too large to lie in the Space; the licence is no licence's name.
        """
        missing = [name for name in NEEDED if not (self.checkpoint / name).is_file()]
        if missing:
            raise FileNotFoundError(f"--checkpoint {shown(self.checkpoint)} holds no {' and no '.join(missing)}")
        size = (self.checkpoint / "model.safetensors").stat().st_size
        if self.model is None and size > INSIDE:
            raise ValueError(
                f"the weights have {size / 1e6:,.0f} MB, and a Space itself holds {INSIDE // 1_000_000} MB: name a "
                "repository for them, --model you/name"
            )
        if not LICENCE.fullmatch(self.licence):
            raise ValueError(f"--licence takes the Hub's name, such as cc-by-4.0, mit or other; got {self.licence!r}")
        if len(self.description) > SHORT:
            raise ValueError(f"--description takes {SHORT} letters at most; got {len(self.description)}")

    @property
    def heading(self) -> str:
        return self.title or self.name.replace("-", " ").replace("_", " ").capitalize()

    @property
    def labels(self) -> list[str]:
        """The model's classes, in their order."""
        config = json.loads((self.checkpoint / "config.json").read_text(encoding="utf-8"))
        names = config.get("id2label") or {}
        return [str(names[key]) for key in sorted(names, key=int)]


def assemble(own: Own, code: Sequence[str], root: Path, into: Path) -> list[str]:
    """Write the Space's files into an empty folder; gives their names, sorted.

    Args:
        code: files of `root` that may go; those of CODE do.

    Raises:
        ValueError: there is no example picture that can be read.
    """
    for name in code:
        if name.startswith(CODE):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, into / name)
    home = into / OWN
    home.mkdir()
    settings = {"checkpoint": own.model or f"{OWN}/{own.name}", "examples": f"{OWN}/examples", "title": own.heading}
    if own.model is None:
        (home / own.name).mkdir()
        for name in WEIGHTS:
            if (own.checkpoint / name).is_file():
                shutil.copyfile(own.checkpoint / name, home / own.name / name)
    write_examples(own.examples, home / "examples")
    (home / FILE).write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    (into / "README.md").write_text(card(own, front_matter(root)), encoding="utf-8")
    return sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file())


def write_examples(source: Path, into: Path) -> int:
    """EXAMPLES pictures at most, as many of each class, evenly over its files (the validation split's where there is
    one): upright JPEGs of LONGEST pixels a side at most, without metadata. Gives how many.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no class folders, or no picture that can be read.
    """
    found = class_folders(validation_folder(source), empty=True)
    members: dict[str, list[str]] = {}
    for path, label in found.samples:
        members.setdefault(found.classes[label], []).append(path)
    names = list(members)[:EXAMPLES]
    each, written = EXAMPLES // max(1, len(names)), 0
    for name in names:
        files, taken = members[name], 0
        step = max(1, len(files) // each)
        for file in [*files[::step], *(file for place, file in enumerate(files) if place % step)]:
            if taken == each:
                break
            try:
                picture = load_rgb(file, lambda size: fitted(size, LONGEST))
                small = resized(picture, fitted((picture.width, picture.height), LONGEST), Image.Resampling.LANCZOS)
            except Exception:  # Pillow's decoders raise what they like; the next one is taken
                continue
            folder = into / name
            folder.mkdir(parents=True, exist_ok=True)
            small.save(folder / f"{taken:03d}.jpg", quality=88, comment=b"")
            taken += 1
        written += taken
    if not written:
        raise ValueError(f"{shown(source)} holds no picture that can be read")
    return written


def front_matter(root: Path) -> dict:
    """That of this project's own card: which Gradio and Python its code is made for."""
    return ModelCard.load(root / "README.md").data.to_dict()


def card(own: Own, ours: dict) -> str:
    """README.md: the Space's settings, and what it is."""
    kept = ("emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "custom_headers")
    matter = {"title": own.heading, **{key: ours[key] for key in kept}, "license": own.licence}
    matter["short_description"] = own.description or "See what an image classifier looks at"
    if own.model:
        matter |= {"models": [own.model], "preload_from_hub": [f"{own.model} {','.join(NEEDED)}"]}
    matter["tags"] = ["image-classification", "explainable-ai", "attention", "abn"]
    labels = own.labels
    named = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    where = f"[{own.model}](https://huggingface.co/{own.model})" if own.model else f"`{OWN}/{own.name}`"
    return (
        f"---\n{yaml_dump(matter)}---\n\n# {own.heading}\n\n"
        + (f"{own.description}\n\n" if own.description else "")
        + "An Attention Branch Network ([Fukui et al., CVPR 2019](https://arxiv.org/abs/1812.10025)) shows what it "
        f"looks at. It knows {len(labels)} classes: {named}.\n\n"
        f"Weights: {where}. Pictures and weights: {own.licence}.\n"
    )


def push_model(own: Own, into: Path, *, private: bool, api: HfApi | None = None) -> str:
    """Upload the checkpoint's own files, its card with them, to `own.model`; gives the commit's URL.

    Args:
        into: an empty folder to put them together in.

    Raises:
        Refused: the Hub does not let us; says why.
    """
    api = api or HfApi()
    for file in own.checkpoint.iterdir():
        if file.is_file() and file.suffix in (".json", ".safetensors", ".py", ".png", ".md"):
            shutil.copyfile(file, into / file.name)
    write_model_card(own, into / "README.md")
    with refusing(f"{own.model} was not pushed to:"):
        api.create_repo(own.model, private=private or None, exist_ok=True)
        return str(api.upload_folder(repo_id=own.model, folder_path=into, commit_message="Upload ABN"))


def write_model_card(own: Own, file: Path) -> None:
    """The card that training wrote, with the repository's name and the licence; a short one where there is none."""
    if file.is_file():
        found = ModelCard.load(file)
        if old := found.data.get("model_name"):
            found.text = found.text.replace(f'from_pretrained("{old}"', f'from_pretrained("{own.model}"')
            found.data.model_name = own.model
        found.data.license = own.licence
        found.save(file)
        return
    data = ModelCardData(
        license=own.licence,
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["abn", "attention", "explainable-ai"],
    )
    words = f"# {own.model}\n\nAn Attention Branch Network. Its classes: {', '.join(own.labels)}.\n"
    file.write_text(f"---\n{data.to_yaml()}\n---\n\n{words}", encoding="utf-8")
