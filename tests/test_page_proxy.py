"""The page below a proxy's path, and over a restart of its server, in Chromium."""

import numpy as np
import pytest
from helpers import made_up_picture
from page import NEEDS_CHROMIUM, canvas, choose, chromium, explained, opened, visited
from proxy import below
from server import app, free_port

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.mark.slow
def test_below_a_proxys_path_everything_works(browser, tmp_path):
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none")]
    with (
        app(tmp_path, *arguments, GRADIO_ROOT_PATH="/tools/abn") as (url, _),
        below(url, "/tools/abn") as outside,
        visited(browser, outside) as page,
    ):
        opened(page, outside)
        file = tmp_path / "mine.png"
        made_up_picture(160, 120).save(file)
        choose(page, file)
        assert canvas(page).shape == (120, 160, 3)
        page.locator("[data-share]").click()
        page.wait_for_selector("[data-link]:visible")
        link = page.input_value("[data-link]")
        assert link.startswith(f"{outside}/?")
        page.locator("[data-examples] [data-open]").first.click()
        explained(page)
        page.get_by_role("tab", name="Gallery").click()
        page.wait_for_selector("#abn-gallery .abn-tile[data-painted]", timeout=60000)
        with visited(browser, outside) as other:
            opened(other, outside, link.removeprefix(f"{outside}/"))
            assert canvas(other).shape == (120, 160, 3)


@pytest.mark.slow
def test_a_page_kept_open_over_a_restart_goes_on(browser, tmp_path):
    port = free_port()
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none")]
    file = tmp_path / "mine.png"
    made_up_picture(160, 120).save(file)
    page = browser.new_page()
    url = f"http://127.0.0.1:{port}"
    with app(tmp_path, *arguments, port=port):
        opened(page, url)
        choose(page, file)
        label = page.inner_text("[data-label]")
    page.locator("[data-examples] [data-open]").first.click()
    page.wait_for_selector("[data-toast] >> text=the server cannot be reached")
    assert page.inner_text("[data-label]") == label  # what was there stays, picture and answer
    assert canvas(page).shape == (120, 160, 3)
    before = canvas(page)
    with app(tmp_path, *arguments, port=port):
        page.locator("[data-examples] [data-open]").nth(1).click()
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 480")
        explained(page)
        page.go_back()
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 160")
        explained(page)  # sent again: the new server has it not
        assert page.inner_text("[data-label]") == label
        # One server may answer by the tuned network already, the other not yet: some steps of a colour
        assert np.abs(canvas(page).astype(int) - before).max() <= 24
    page.close()
