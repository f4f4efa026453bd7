"""Names in plots: in a font that has their characters where there is one, and drawn literally."""

import unicodedata

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from helpers import made_up_picture, tiny_model
from matplotlib import font_manager

from abn import AbnImageProcessor, Explainer, lettering
from abn.grids import grid
from train.figures import confusion_matrix_png


def font_with(characters, family, file):
    """A TrueType font in which each of these characters is a full square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, order = pen.glyph(), [".notdef", *(f"u{ord(character):04X}" for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(character): f"u{ord(character):04X}" for character in characters})
    builder.setupGlyf(dict.fromkeys(order, square))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    builder.save(file)
    return file


@pytest.fixture
def no_other_fonts(monkeypatch):
    """Matplotlib's own fonts alone, whatever this machine has."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: [])
    for cached in (lettering._fonts, lettering._notice):
        cached.cache_clear()
    yield monkeypatch
    for cached in (lettering._fonts, lettering._notice):
        cached.cache_clear()


NAMES = {"Japanese": "金魚", "Chinese": "猫咪", "Korean": "강아지", "Thai": "แมว", "emoji": "🐟"}


@pytest.mark.parametrize("script", NAMES)
def test_characters_without_a_font_are_named_once(script, no_other_fonts, capsys):
    name = NAMES[script]
    lettering.style(["tench", name])
    lettering.style([name])
    words = capsys.readouterr().err
    assert words.count("no font here can draw") == 1
    for character in name:
        assert f"{character} (U+{ord(character):04X})" in words


@pytest.mark.parametrize("script", NAMES)
def test_a_font_that_has_the_characters_is_taken(script, no_other_fonts, tmp_path, capsys):
    """Also one that was installed after Matplotlib made its list."""
    name = NAMES[script]
    file = font_with(set(name), "Made Up-Sans", tmp_path / "made-up.ttf")
    font_with(set(name), "Adobe Blank", tmp_path / "blank.ttf")  # has everything, shows nothing
    no_other_fonts.setattr(font_manager, "findSystemFonts", lambda *_, **__: [str(tmp_path / "blank.ttf"), str(file)])
    assert lettering.style([name])["fontfamily"] == ["sans-serif", "Made Up-Sans"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["tench", "Café", "Ångström", "голубь", "β-tester", "a b", "two\nlines", ""])
def test_what_matplotlibs_font_has_needs_no_other(name, no_other_fonts, capsys):
    assert lettering.style([unicodedata.normalize("NFD", name)])["fontfamily"] == ["sans-serif"]
    assert capsys.readouterr().err == ""


def test_one_font_a_script(no_other_fonts, tmp_path):
    files = [str(font_with(part, f"Made Up {part[0]}", tmp_path / f"{part[0]}.ttf")) for part in ("金魚", "แมว")]
    no_other_fonts.setattr(font_manager, "findSystemFonts", lambda *_, **__: files)
    assert sorted(lettering.style(["金魚", "แมว"])["fontfamily"][1:]) == ["Made Up แ", "Made Up 金"]


ODD = ["$x^2$", "$", "$\\frac{", "a_b^c", "100% $ 金", "two\nlines", "x" * 300, "\\alpha", "%d {}", "#&~"]


@pytest.mark.parametrize("name", ODD)
def test_names_are_drawn_literally(name, tmp_path, monkeypatch):
    """In the confusion matrix, and in the titles of the grid."""
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure) or figure.canvas.draw())
    confusion_matrix_png([[1, 0], [2, 1]], ["tench", name], tmp_path / "matrix.png")
    texts = [axis.get_ticklabels()[1] for axis in (drawn[0].axes[0].xaxis, drawn[0].axes[0].yaxis)]
    explainer = Explainer(
        tiny_model(id2label={0: "tench", 1: name}),
        AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        device="cpu",
    )
    explanation = explainer(made_up_picture(32, 32))
    figure = grid([explanation], [name], 1.0)
    figure.canvas.draw()
    expected = " ".join(name.split()) if len(name) <= 40 else "x" * 39 + "…"
    assert [text.get_text() for text in texts] == [expected] * 2
    left, right = figure.axes
    assert left.get_title() == f"true: {expected}"
    label = "tench" if explanation.label == "tench" else expected
    assert right.get_title().split("\n")[0] == f"predicted: {label}"
    assert not any(text.get_parse_math() for text in (*texts, left.title, right.title))


def test_a_title_in_another_normal_form_is_right():
    explainer = Explainer(
        tiny_model(id2label={0: unicodedata.normalize("NFD", "が")}),
        AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        device="cpu",
    )
    figure = grid([explainer(made_up_picture(32, 32))], [unicodedata.normalize("NFC", "が")], 1.0)
    assert figure.axes[1].title.get_color() == "green"
