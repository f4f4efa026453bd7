"""The page without a server in Firefox and WebKit: an example and a painted stroke, with and without isolation."""

import pytest
from browsers import Firefox, WebKit, session
from helpers import wait_for
from plain_server import ISOLATED, Plain

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EXPLAINED = """const find = (selector) => document.querySelector(selector);
    const [answer, stage] = [find('.abn-answer'), find('#abn-explain .abn-stage')];
    return Boolean(find('[data-abn][data-ready]') && stage.dataset.state === ''
        && !answer.classList.contains('abn-waiting'))"""
OPENED = "return Boolean(document.querySelector('#abn-edit [data-tools]:not([disabled])'))"
EDITED = "return document.querySelector('#abn-edit [data-change]').textContent"


@pytest.fixture(scope="module")
def site(bundled_site):
    return bundled_site


@pytest.fixture(scope="module", params=[Firefox, WebKit], ids=["firefox", "webkit"])
def browser(request, tmp_path_factory):
    yield from session(request.param, tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("headers", [{}, ISOLATED], ids=["plain", "isolated"])
def test_an_example_and_an_edit(browser, site, headers):
    server = Plain(site)
    server.headers = headers
    try:
        browser.go(f"{server.url}/?lang=en")
        wait_for(lambda: browser.run(EXPLAINED), 60)
        assert browser.run("return document.querySelector('[data-label]').textContent") == "cassette player"
        browser.run("document.querySelector('[data-tab=edit]').click()")
        wait_for(lambda: browser.run(OPENED), 60)
        browser.run("document.querySelector('[data-do=hide_object]').click()")
        wait_for(lambda: "→" in browser.run(EDITED), 60)
        assert browser.run(EDITED).startswith("cassette player")
    finally:
        server.close()
