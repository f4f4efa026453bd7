"""Folders of pictures, everywhere they are read: what counts, what never does, and how what is left out is named."""

import os
import shutil
import unicodedata
from types import SimpleNamespace

import pytest
from helpers import made_up_picture
from PIL import Image

from abn import imagenette, visualize
from abn.faithfulness import run as faithfulness_run
from abn.folders import LeftOut, class_folders, is_litter, is_picture, pictures_in
from abn.model.pictures import FORMATS, PictureError, load_rgb
from abn.space.server.examples import Gallery
from abn.space.server.models import Models
from train.sources import folder_source, table_source

WNID = imagenette.WNIDS[6]
CLASS = imagenette.CLASSES[6]
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".JPEG", ".jpe", ".jfif", ".JFIF", ".jif"),
    "PNG": (".png", ".PNG", ".apng"),
    "WEBP": (".webp", ".WebP"),
    "GIF": (".gif", ".GIF"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".TIFF"),
    "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pnm"),
    "MPO": (".mpo",),
}
KINDS = [
    (kind, ending)
    for kind, endings in ENDINGS.items()
    for ending in (*endings, "")
    if kind in (*FORMATS, "MPO")  # which Pillow opens as JPEG
]
LITTER = (
    ".hidden.jpg",
    "._photo.jpg",
    ".DS_Store",
    "Thumbs.db",
    "thumbs.DB",
    "desktop.ini",
    ".ipynb_checkpoints/photo-checkpoint.jpg",
    "__MACOSX/photo.jpg",
    "__MACOSX/._photo.jpg",
    "__pycache__/photo.jpg",
    "@eaDir/photo.jpg",
    ".git/photo.png",
)


def picture(file, kind=None, seed=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    several = {"save_all": True, "append_images": [made_up_picture(24, 20, seed + 1)]} if kind == "MPO" else {}
    made_up_picture(24, 20, seed).save(file, kind, **several)
    return file


def scatter(folder):
    """Everything in LITTER, with a real picture's bytes where the name ends as one's."""
    for name in LITTER:
        picture(folder / name, "PNG")


@pytest.fixture
def flowers(tmp_path):
    root = tmp_path / "flowers"
    for split in ("train", "val"):
        for place, name in enumerate(("daisy", "rose")):
            for number in range(2):
                picture(root / split / name / f"{number}.png", seed=10 * place + number)
    return root


class Seen(Exception):
    """Stops a command once its samples are known."""


def _training(root, monkeypatch):
    return [path for path, _ in folder_source(root).train]


def _folds(root, monkeypatch):
    return [path for path, _ in folder_source(root / "train", folds=True).train]


def _shown(root, monkeypatch):
    found = []
    monkeypatch.setattr(
        visualize, "nth_of_each", lambda samples, *_: found.extend(samples) or (_ for _ in ()).throw(Seen)
    )
    with pytest.raises(Seen):
        visualize.one_a_class(SimpleNamespace(indices={}), visualize.parse(["--data", str(root / "train")]))
    return [path for path, _ in found]


def _own(root, monkeypatch):
    out, found = root.parent / "out", []

    class Stub:
        labels, abilities = (), SimpleNamespace(tasks=False)

        def read(self, path, view):
            found.append(path)
            raise ValueError("seen")

        def __call__(self, pictures, **_):
            return [None] * len(pictures)

    with pytest.raises(ValueError, match="no picture"):
        visualize.own_pictures(Stub(), visualize.parse(["--pictures", str(root / "train"), "--out-dir", str(out)]))
    return found


def _measured(root, monkeypatch):
    found = []
    monkeypatch.setattr(
        faithfulness_run, "spread", lambda samples, _: found.extend(samples) or (_ for _ in ()).throw(Seen)
    )
    with pytest.raises(Seen):
        faithfulness_run.run(faithfulness_run.parse(["--data", str(root / "train")]))
    return [path for path, _ in found]


PLACES = {"training": _training, "folds": _folds, "grid": _shown, "own": _own, "faithfulness": _measured}


@pytest.mark.parametrize("place", PLACES)
def test_every_format_and_no_litter_wherever_a_folder_is_read(place, flowers, monkeypatch):
    expected = set((flowers / "train").rglob("*.png"))
    for folder in (flowers / "train", flowers / "train" / "rose", flowers / "train" / "rose" / "deeper"):
        scatter(folder)
    for kind, ending in KINDS:
        expected.add(picture(flowers / "train" / "rose" / f"{kind}{ending}", kind))
    expected.add(picture(flowers / "train" / "rose" / "deeper" / "one.webp"))
    elsewhere = picture(flowers.parent / "elsewhere" / "linked.gif").parent
    (flowers / "train" / "rose" / "link").symlink_to(elsewhere)
    expected.add(flowers / "train" / "rose" / "link" / "linked.gif")
    (flowers / "train" / "rose" / "alone.png").symlink_to(elsewhere / "linked.gif")
    expected.add(flowers / "train" / "rose" / "alone.png")
    (flowers / "train" / "rose" / "notes.txt").write_text("no picture")
    found = PLACES[place](flowers, monkeypatch)
    assert sorted(map(str, found)) == sorted(map(str, expected))


@pytest.mark.parametrize(("kind", "ending"), KINDS)
def test_a_format_counts_in_imagenette(kind, ending, tiny_imagenette):
    file = picture(tiny_imagenette / "imagenette2-160" / "val" / WNID / f"more{ending}", kind)
    data = imagenette.load(tiny_imagenette, "val")
    assert (str(file), 6) in data.samples
    assert data[data.samples.index((str(file), 6))][0].tobytes() == load_rgb(file).tobytes()
    assert is_picture(file)


@pytest.mark.parametrize("name", LITTER)
def test_litter(name, tiny_imagenette):
    """In Imagenette's folder it is no data, and the count names it."""
    picture(tiny_imagenette / "imagenette2-160" / "val" / WNID / name, "PNG")
    picture(tiny_imagenette / "imagenette2-160" / "val" / name, "PNG")
    data = imagenette.load(tiny_imagenette, "val")
    assert len(data) == 20
    assert len(data.left_out) == 2
    assert is_litter(name.split("/")[0])
    assert f"val/{name.split('/')[0]}" in data.left_out.words(tiny_imagenette / "imagenette2-160")


@pytest.mark.parametrize(
    "name", ["photo.txt", "photo.jpg.bak", "photo.mp4", "photo.psd", "photo.nef", "README", "x.PDF"]
)
def test_what_is_no_picture_is_named_and_counted(name, flowers):
    picture(flowers / "train" / "rose" / "photo.jpg").replace(flowers / "train" / "rose" / name)
    (flowers / "train" / "rose" / name).write_bytes(b"no picture" if name == "README" else b"\xff\xd8\xff")
    source = folder_source(flowers)
    assert len(source.train) == 4
    assert f"left out: 1 not a picture that can be read (train/rose/{name})" in source.summary()


def test_a_long_list_is_counted_and_its_first_named(flowers):
    for number in range(5):
        (flowers / "val" / "rose" / f"{number}.txt").touch()
    (flowers / "val" / "stray.png").touch()
    words = folder_source(flowers).summary()
    assert "5 not a picture that can be read (val/rose/0.txt, val/rose/1.txt, val/rose/2.txt, …)" in words
    assert "1 beside the class folders (val/stray.png)" in words


@pytest.mark.skipif("HEIF" in FORMATS, reason="HEIC is read here")
def test_heic_without_its_reader_says_what_it_needs(flowers):
    (flowers / "train" / "rose" / "phone.HEIC").touch()
    source = folder_source(flowers)
    assert len(source.train) == 4
    assert "pip install pillow-heif) (train/rose/phone.HEIC)" in source.summary()


@pytest.mark.parametrize("target", ["nowhere.jpg", "../rose", "../..", "self.jpg"])
def test_links_that_lead_nowhere_or_in_circles(target, flowers):
    link = flowers / "train" / "rose" / "self.jpg"
    link.symlink_to(target)
    found = class_folders(flowers / "train")
    assert len(found.samples) == 4
    assert [path for _, path in found.left_out] == [link]


def test_a_pipe_is_no_picture(flowers):
    os.mkfifo(flowers / "train" / "rose" / "pipe.png")
    assert len(folder_source(flowers).train) == 4  # and does not wait for a writer


def test_a_folder_that_cannot_be_opened(flowers, monkeypatch):
    (flowers / "train" / "rose" / "closed").mkdir()
    (flowers / "train" / "shut").mkdir()
    scandir = os.scandir

    def refusing(folder):
        if os.path.basename(folder) in ("closed", "shut"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    left_out = LeftOut()
    assert len(pictures_in(flowers / "train" / "rose", left_out)) == 2
    assert left_out.words(flowers) == "1 cannot be opened (train/rose/closed)"
    with pytest.raises(ValueError, match=r"class folder .*shut holds no picture; left out: 1 cannot be opened"):
        folder_source(flowers)


@pytest.mark.parametrize("content", ["nothing", "text", "litter", "broken link"])
def test_a_class_without_a_picture_is_named(content, flowers):
    lily = flowers / "train" / "lily"
    lily.mkdir()
    if content == "text":
        (lily / "notes.txt").touch()
    elif content == "litter":
        scatter(lily)
    elif content == "broken link":
        (lily / "one.jpg").symlink_to("nowhere")
    for read in (folder_source, lambda root: class_folders(root / "train")):
        with pytest.raises(ValueError, match=r"the class folder .*/train/lily holds no picture") as error:
            read(flowers)
        assert ("left out: " in str(error.value)) == (content != "nothing")


# Names of classes


@pytest.mark.parametrize("name", ["がくあじさい", "Café", "Ångström", "한글"])
@pytest.mark.parametrize(("train", "val"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_nfc_and_nfd_are_one_class(name, train, val, flowers):
    for split, form in (("train", train), ("val", val)):
        picture(flowers / split / unicodedata.normalize(form, name) / "one.png")
    source = folder_source(flowers)
    assert source.classes == tuple(sorted(("daisy", "rose", unicodedata.normalize("NFC", name))))


def test_two_folders_of_one_name_are_one_class(flowers):
    paths = [picture(flowers / "train" / unicodedata.normalize(form, "ガ") / f"{form}.png") for form in ("NFC", "NFD")]
    picture(flowers / "val" / "ガ" / "one.png")
    source = folder_source(flowers)
    assert source.classes == ("daisy", "rose", "ガ")
    assert sorted(path for path, label in source.train if label == 2) == sorted(map(str, paths))


@pytest.mark.parametrize("name", [b"caf\xe9", "日本".encode("cp932"), "日本".encode("euc-jp"), b"\xff"])
def test_a_class_whose_name_is_not_utf8_is_named(name, flowers):
    picture(flowers / "train" / os.fsdecode(name) / "one.png")
    with pytest.raises(
        ValueError, match=r"the name of the class folder .*\\x[0-9a-f]{2}.* is not UTF-8; rename it"
    ) as error:
        folder_source(flowers)
    str(error.value).encode("utf-8")


# Imagenette's folder, and the app


def _in_val(root):
    return root / "imagenette2-160" / "val"


def broken(root):
    file = next((_in_val(root) / WNID).iterdir())
    file.write_bytes(file.read_bytes()[:100])


def empty(root):
    (next((_in_val(root) / WNID).iterdir())).write_bytes(b"")


def stray(root):
    picture(_in_val(root) / "stray.jpg")
    picture(root / "imagenette2-160" / "train" / "n99999999" / "stray.jpg")
    picture(_in_val(root) / "a-folder" / "stray.jpg")
    (_in_val(root) / WNID / "stray.csv").touch()


def dangling(root):
    (_in_val(root) / WNID / "dangling.JPEG").symlink_to("nowhere")
    (_in_val(root) / "dangling").symlink_to("nowhere")


def no_class(root):
    for file in (_in_val(root) / WNID).iterdir():
        file.unlink()


def odd_names(root):
    for place, name in enumerate([b"caf\xe9.JPEG", "日本 語#?.png".encode(), b"x" * 250 + b".png", b"two\nlines.gif"]):
        picture(_in_val(root) / WNID / os.fsdecode(name), "PNG", seed=place)


def odd_formats(root):
    for ending in (".tif", ".ppm", ".webp"):
        picture(_in_val(root) / WNID / f"more{ending}")


def namesakes(root):
    picture(_in_val(root) / WNID / "deeper" / f"{WNID}_0.JPEG")
    picture(_in_val(root) / WNID / f"{WNID}_0.png")


FAULTS = (broken, empty, stray, dangling, no_class, odd_names, odd_formats, namesakes)


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_lies_in_imagenettes_folder_the_gallery_starts(fault, tiny_imagenette, capsys):
    fault(tiny_imagenette)
    gallery = Gallery(tiny_imagenette)
    try:
        gallery.start()
        assert gallery.real
        assert gallery.settled
        assert [example.label for example in gallery.of_class(None)] == list(imagenette.CLASSES)
        of_class = gallery.of_class(CLASS)
        assert [example.drawn for example in of_class] == [fault is no_class] * len(of_class)
        counts = {broken: 1, empty: 1, no_class: 1, odd_names: 6, odd_formats: 5, namesakes: 4}
        assert len(of_class) == counts.get(fault, 2)
        assert len({example.id for example in of_class}) == len(of_class)
        for example in of_class:
            example.id.encode("utf-8")
            assert gallery.by_id(example.id) == example
            with Image.open(example.path) as opened:
                opened.convert("RGB")
                assert opened.format in ("JPEG", "PNG", "WEBP", "GIF")
    finally:
        shutil.rmtree(gallery.folder)
    if fault in (broken, empty):
        assert "1 damaged" in capsys.readouterr().err


def test_imagenette_without_any_picture_leaves_the_drawings(tiny_imagenette, monkeypatch):
    for file in _in_val(tiny_imagenette).glob("*/*"):
        file.write_bytes(b"")
    monkeypatch.setattr(imagenette, "fetch", lambda *_, **__: pytest.fail("a folder that is there is not replaced"))
    gallery = Gallery(tiny_imagenette)
    gallery.start()
    assert not gallery.real
    assert gallery.note == ("drawings_unreadable", {})
    shutil.rmtree(gallery.folder)


def test_a_folder_that_may_not_be_looked_into_is_no_imagenette(tiny_imagenette, monkeypatch):
    def refusing(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.stat", refusing)
    assert imagenette.find(tiny_imagenette) == (tiny_imagenette, "160px")  # os.path's answer; pathlib's would raise


def test_hidden_files_are_no_models(tmp_path):
    for name in ("mine.safetensors", "._mine.safetensors", ".hidden.safetensors"):
        (tmp_path / name).touch()
    for name in ("folder", ".folder", "__MACOSX"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    models = Models(None, tmp_path)
    assert models._local() == ["folder", "mine.safetensors"]
    shutil.rmtree(models.fetched)


def test_a_file_without_an_ending_is_judged_as_load_rgb_judges_it(tmp_path, monkeypatch):
    """Also where it can only be read once it is repaired, or is refused for its size: then training names it."""
    odd = tmp_path / "odd"
    save = made_up_picture(24, 20).save
    save(odd, "PNG")
    content = odd.read_bytes()
    unknown = b"\0\0\0\4zTXtkey\0\0\0\0\0"  # a text whose checksum is wrong, before the pixels: Pillow opens nothing
    odd.write_bytes(content[:33] + unknown + content[33:])
    with pytest.raises(Exception), Image.open(odd):  # noqa: B017, PT011 - Pillow's, of whatever kind
        pass
    assert load_rgb(odd).size == (24, 20)
    assert is_picture(odd)
    odd.write_bytes(content[:33])
    assert is_picture(odd)  # a picture, of which nothing is there
    odd.write_bytes(b"II*\0" + bytes(60))
    assert not is_picture(odd)
    save(odd, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    assert is_picture(odd)
    with pytest.raises(PictureError, match="too many pixels"):
        load_rgb(odd)


# Tables of attributes


@pytest.mark.parametrize("name", ["._a.png", ".hidden.png", "__MACOSX/a.png", ".ipynb_checkpoints/a.png", "Thumbs.db"])
def test_a_table_that_lists_litter(name, tmp_path, capsys):
    for file in ("a.png", "b.png", name):
        picture(tmp_path / file, "PNG")
    (tmp_path / "attributes.csv").write_text(f"picture,split,smiling\na.png,train,1\nb.png,val,0\n{name},train,1\n")
    source = table_source(tmp_path)
    assert [path for path, _ in source.train] == [str(tmp_path / "a.png")]
    assert f"1 hidden or a system's own ({name})" in capsys.readouterr().err


def test_pictures_that_a_table_does_not_list_are_counted(tmp_path, capsys):
    for file in ("a.png", "b.png", "c.jpg", "sub/d.webp"):
        picture(tmp_path / file)
    (tmp_path / "attributes.csv").write_text("picture,split,smiling\na.png,train,1\nb.png,val,0\n")
    table_source(tmp_path)
    assert "2 not in the table (c.jpg, sub/d.webp)" in capsys.readouterr().err


def test_a_tables_names_in_either_form(tmp_path):
    file = picture(tmp_path / unicodedata.normalize("NFD", "が.png"))
    picture(tmp_path / "b.png")
    table = unicodedata.normalize("NFC", "picture,split,笑顔が\nが.png,train,1\nb.png,val,0\n")
    (tmp_path / "attributes.csv").write_text(table, encoding="utf-8")
    source = table_source(tmp_path)
    assert source.train == [(str(file), (1,))]
    assert source.classes == ("笑顔が",)
