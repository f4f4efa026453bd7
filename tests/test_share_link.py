"""Sharing: an example goes by its id, an upload is kept when it is asked for, and what a link may bring is checked."""

import filecmp

import pytest
from helpers import made_up_picture

from abn.space.context import Asked, Context, answering
from abn.space.server.examples import Gallery
from abn.space.server.models import Models
from abn.space.server.serving import Serving
from abn.space.server.shares import Shares, outlives_restart
from abn.space.server.uploads import uploaded
from abn.space.tabs.explain import share


@pytest.fixture
def context(tmp_path):
    gallery = Gallery(tmp_path / "none", may_download=False)
    return Context(Models(Serving("compact")), gallery, Shares(tmp_path / "shares"))


@pytest.fixture
def upload(tmp_path, monkeypatch):
    """A file as a visitor has uploaded it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    file = tmp_path / "uploads" / "abc" / "golf-ball-drawn.png"
    file.parent.mkdir(parents=True)
    made_up_picture().save(file)
    return file


def shared(context, picture, language="en"):
    return share(Asked({"picture": picture}, language, context))


def test_an_example_goes_by_its_id_and_is_not_kept(context):
    answer = shared(context, {"example": "golf-ball-drawn"})
    assert answer["source"] == {"example": "golf-ball-drawn"}
    assert "7 days" not in answer["words"]
    assert not context.shares.folder.exists()


def test_an_upload_is_kept_even_under_an_examples_name_and_once(context, upload):
    answer = shared(context, {"upload": str(upload)})
    kept = context.shares.find(answer["source"]["share"])
    assert kept is not None
    assert "7 days" in answer["words"]
    assert shared(context, answer["source"])["source"] == answer["source"]
    assert len(list(context.shares.folder.glob("*.png"))) == 1


@pytest.mark.parametrize(
    "picture",
    [
        None,
        {},
        [],
        "x",
        {"upload": "/etc/passwd"},
        {"upload": "\0"},
        {"upload": 3},
        {"example": "../secret"},
        {"share": "../../etc/passwd"},
        {"share": "x" * 22},
        {"example": None},
    ],
)
def test_what_is_no_picture_of_this_server_is_none(picture, context):
    answer = answering(share, context)({"picture": picture}, None)
    assert answer["gone"] is True
    assert answer["error"] == "The picture is gone; please upload it again."


def test_a_path_leads_to_uploads_alone(upload, tmp_path):
    assert uploaded(str(upload)) == upload.resolve()
    secret = tmp_path / "secret.png"
    made_up_picture().save(secret)
    assert uploaded(str(secret)) is None
    assert uploaded(str(upload.parent / ".." / ".." / ".." / "secret.png")) is None
    link = upload.parent / "link.png"
    link.symlink_to(secret)
    assert uploaded(str(link)) is None


def test_drawings_can_be_shared_where_real_pictures_have_come(tiny_imagenette, context):
    gallery = Gallery(tiny_imagenette)
    drawn = [each.by_id("church-drawn").path for each in (gallery, context.gallery)]
    assert filecmp.cmp(*drawn, shallow=False)
    assert gallery.by_id("unicorn-drawn") is None
    real = gallery.of_class("church")[0]
    assert gallery.by_id(real.id) == real


def test_a_link_says_how_long_it_lives_where_the_disk_is_not_kept(context, upload, tmp_path):
    context = Context(context.models, context.gallery, Shares(tmp_path / "shares", until_restart=True))
    words = shared(context, {"upload": str(upload)})["words"]
    assert "sees the picture, until the Space restarts, 7 days at most" in words
    words = shared(context, {"upload": str(upload)}, "ja")["words"]
    assert "Space が再起動するまで(最長 7 日間)" in words


@pytest.mark.parametrize(
    ("space", "shares", "lasts"),
    [
        (None, None, True),
        ("you/abn", None, False),
        ("you/abn", "/data/shares", False),  # /data without a bucket
        ("you/abn", "/elsewhere/shares", True),
    ],
)
def test_what_a_restart_takes_along(space, shares, lasts, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    assert outlives_restart(shares) is lasts


def test_a_bucket_outlives_a_restart(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "you/abn")
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == "/data")
    assert outlives_restart("/data/shares")
    assert not outlives_restart(None)
