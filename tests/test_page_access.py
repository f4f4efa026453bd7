"""Who sees little, points with a finger or uses the keyboard alone: contrast, targets, stops of the Tab key."""

import re
from pathlib import Path

import pytest
from page import CHROMIUM, TABS, chromium, open_tab, opened

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

STYLES = Path(__file__).parents[1] / "abn" / "space" / "page.css"
SEEN = """const seen = (each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && each.getBoundingClientRect().width > 1;"""
# Of each control that a finger aims at, its label where it has one: those smaller than 44 pixels
SMALL = f"""(tab) => {{ {SEEN}
  const all = document.querySelectorAll('#abn-page :is(button, input, select, summary, a, [role=tab], [role=slider])');
  return [...all].filter((each) => seen(each) || each.matches('.abn-segments input'))
    .filter((each) => each.checkVisibility() && !each.matches('.abn-sr'))
    .map((each) => [each, (each.matches('[type=radio], [type=checkbox]') && each.closest('label')) || each])
    .map(([each, target]) => [each, target.getBoundingClientRect()])
    .filter(([, {{ width, height }}]) => width > 0 && (width < 43.5 || height < 43.5))
    .map(([each, {{ width, height }}]) => [tab, each.outerHTML.slice(0, 120), width, height]); }}"""
# Of each control that its edge alone sets off: those whose edge has less than 3 : 1 against what lies around it
FAINT = f"""(tab) => {{ {SEEN}
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {{ willReadFrequently: true }});
  const over = (below, colour) => {{
    canvas.fillStyle = below;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return `rgb(${{canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).join(' ')}})`;
  }};
  const light = (colour) => {{
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  }};
  const ratio = (a, b) => {{
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  }};
  const around = (each) => {{
    const chain = [];
    for (let one = each.parentElement; one; one = one.parentElement) chain.unshift(one);
    return chain.map((one) => getComputedStyle(one).backgroundColor).reduce(over, 'white');
  }};
  const controls = `.abn-button, .abn-chip, .abn-segments, .abn-card-sides button, .abn-card-curves, .abn-tile, select,
    input[type=text], input[type=radio]:not(.abn-segments input), input[type=checkbox]`;
  return [...document.querySelectorAll(`#abn-page :is(${{controls}})`)]
    .filter((each) => seen(each) && !each.matches(':disabled, :disabled *'))
    .map((each) => {{
      const [ground, style] = [around(each), getComputedStyle(each)];
      const edge = parseFloat(style.borderTopWidth) >= 1 ? ratio(over(ground, style.borderTopColor), ground) : 1;
      return [tab, each.outerHTML.slice(0, 120), Math.max(edge, ratio(over(ground, style.backgroundColor), ground))];
    }})
    .filter(([, , found]) => found < 3); }}"""
# What a Tab reaches: [element's own words, its group]
REACHED = """() => { const at = document.activeElement;
  if (!at || !at.closest('#abn-page')) return null;
  const list = at.closest('[role=tablist], [data-examples], [role=group][data-cards]');
  if (at.matches('[data-more]')) return [at.outerHTML.slice(0, 100), ''];
  return [at.outerHTML.slice(0, 100), at.matches('[type=radio]') ? at.name : list ? list.className : '']; }"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def visit(browser, url):
    """The page at a width in a colour scheme, opened once for all tests."""
    pages = {}

    def visit(width: int, scheme: str = "light"):
        if (width, scheme) not in pages:
            page = pages[width, scheme] = browser.new_page(
                viewport={"width": width, "height": 1000}, color_scheme=scheme
            )
            opened(page, url)
        return pages[width, scheme]

    return visit


def folded_out(page) -> None:
    """Everything that is folded is opened."""
    page.evaluate("document.querySelectorAll('#abn-page details').forEach((each) => { each.open = true; })")


AT = [
    ("light", 390),
    *(pytest.param(*one, marks=pytest.mark.slow) for one in [("dark", 1280), ("light", 1280), ("dark", 390)]),
]


@pytest.mark.parametrize(("scheme", "width"), AT)
def test_axe_finds_no_serious_violation_on_any_tab(visit, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(width, scheme)
    found = []
    for tab in TABS:
        open_tab(page, tab)
        folded_out(page)
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found += [(tab, violation["id"], node["html"][:160]) for node in violation["nodes"]]
    assert found == []


def contrast(first: str, second: str) -> float:
    """WCAG's contrast of two colours #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [":root", ".dark"])
def test_the_colours_of_edges_and_words_keep_their_distance(scheme):
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    styles = STYLES.read_text()
    block = re.search(rf"^{re.escape(scheme)} \{{(.*?)^\}}", styles, re.MULTILINE | re.DOTALL).group(1)
    colours = dict(re.findall(r"--abn-([\w-]+): (#[0-9a-f]{6})", block))
    for ground in ("paper", "ground"):
        assert contrast(colours["edge"], colours[ground]) >= 3, ground
        for words in ("ink", "soft", "accent", "good", "bad"):
            assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    dots = re.findall(r"\.abn-dot\[data-state=\w+\] \{ background: (#[0-9a-f]{6})", styles)
    assert len(dots) == 3
    assert min(contrast(dot, colours["paper"]) for dot in dots) >= 3
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["warn"], colours["warn-soft"]) >= 4.5


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_the_edges_of_controls_are_seen(visit, scheme):
    page = visit(1280, scheme)
    faint = []
    for tab in TABS:
        open_tab(page, tab)
        folded_out(page)
        faint += page.evaluate(FAINT, tab)
    assert faint == []


def test_a_finger_finds_every_control(visit):
    page = visit(390)
    small = []
    for tab in TABS:
        open_tab(page, tab)
        folded_out(page)
        small += page.evaluate(SMALL, tab)
    assert small == []


@pytest.mark.slow
def test_upload_lies_within_eight_tabs_and_each_group_is_one_stop(visit, url):
    page = visit(1280, "dark")
    opened(page, url)  # anew: other tests fold everything out
    for tab in TABS:
        open_tab(page, tab)
        page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
        page.mouse.click(1, 1)
        stops = []
        while len(stops) < 120:
            page.keyboard.press("Tab")
            reached = page.evaluate(REACHED)
            if reached is None:
                break
            stops.append(reached)
        if tab == "explain":
            assert any('data-do="replace"' in words for words, _ in stops[:8])
        groups = [group for _, group in stops if group]
        assert len(stops) >= 3
        assert sorted(set(groups)) == sorted(groups), (tab, stops)
