"""What a link may ask for: nonsense is left out."""

import filecmp
from types import SimpleNamespace
from urllib.parse import parse_qs

import gradio as gr
import pytest
from helpers import made_up_picture

from abn.space.server.examples import Gallery
from abn.space.server.models import Models
from abn.space.server.serving import Serving
from abn.space.server.shares import Shares, outlives_restart
from abn.space.view import Linked, View, read
from abn.space.widgets.share.widget import ShareLink

REQUEST = SimpleNamespace(headers={})


def test_a_query_is_read():
    query = {
        "share": "abc",
        "alpha": "0.25",
        "view": "model",
        "colours": "viridis",
        "stretch": "1",
        "model": "someone/abn",
    }
    assert read(query) == Linked(None, "abc", "someone/abn", "model", "viridis", True, 0.25)
    assert read({}) == Linked()


def test_a_link_brings_back_what_was_chosen():
    view = View("a.png", "", "model", "viridis", True, 0.25)
    query = parse_qs(view.query({"share": "abc"}, "someone/abn & co").removeprefix("?"))
    found = Linked(None, "abc", "someone/abn & co", "model", "viridis", True, 0.25)
    assert read({key: value for key, (value,) in query.items()}) == found


@pytest.mark.parametrize(
    "query",
    [{"alpha": "nan"}, {"alpha": "2"}, {"alpha": "x"}, {"view": "sideways"}, {"colours": "pink"}, {"stretch": "yes"}],
)
def test_nonsense_is_left_out(query):
    assert read(query) == Linked()


@pytest.fixture
def link(tmp_path):
    with gr.Blocks():
        gallery = Gallery(tmp_path / "none", may_download=False)
        return ShareLink(gallery, Shares(tmp_path / "shares"), Models(Serving("compact")))


def asked(link, picture, choice=""):
    query, words = link.share(REQUEST, picture=str(picture), model=choice, alpha=0.3)
    return {key: value[0] for key, value in parse_qs(query.removeprefix("?")).items()}, words


def test_an_example_goes_by_its_id_and_is_not_kept(link):
    example = link.gallery.of_class("golf ball")[0]
    query, words = asked(link, example.path)
    assert query.pop("model") == "bundled compact network"  # what answers, so that the link shows the same
    assert query == {"example": "golf-ball-drawn", "alpha": "0.3", "view": "whole", "colours": "jet", "stretch": "0"}
    assert not link.shares.folder.exists()
    assert link.picture(read(query), REQUEST) == example.path
    assert "7 days" not in words


def test_an_upload_is_kept_even_under_an_examples_name(link, tmp_path):
    file = tmp_path / "golf-ball-drawn.png"
    made_up_picture().save(file)
    query, words = asked(link, file, "someone/abn & co")
    assert query["model"] == "someone/abn & co"
    assert filecmp.cmp(link.picture(read(query), REQUEST), link.shares.find(query["share"]), shallow=False)
    assert "7 days" in words


def test_nothing_to_share(link):
    with pytest.raises(gr.Error, match="no picture to share"):
        link.share(REQUEST, picture=None)


def test_drawings_can_be_shared_where_real_pictures_have_come(tiny_imagenette, link):
    gallery = Gallery(tiny_imagenette)
    assert filecmp.cmp(gallery.by_id("church-drawn").path, link.gallery.by_id("church-drawn").path, shallow=False)
    assert gallery.by_id("unicorn-drawn") is None
    real = gallery.of_class("church")[0]
    assert gallery.by_id(real.id) == real


def test_a_link_says_how_long_it_lives_where_the_disk_is_not_kept(tmp_path):
    file = tmp_path / "own.png"
    made_up_picture().save(file)
    with gr.Blocks():
        gallery = Gallery(tmp_path / "none", may_download=False)
        shares = Shares(tmp_path / "shares", until_restart=True)
        link = ShareLink(gallery, shares, Models(Serving("compact")))
    _, words = asked(link, file)
    assert "sees the picture, until the Space restarts, 7 days at most:" in words
    assert "Space が再起動するまで(最長 7 日間)" in words
    assert "for 7 days" not in words


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
