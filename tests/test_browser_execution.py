"""What the page without a server computes with: WebGPU, threads or one thread, and what takes over where one fails."""

import shutil

import pytest
from page import NEEDS_CHROMIUM, chromium, explained, opened, says, watched
from plain_server import ISOLATED, Plain

from abn import Explainer
from abn.space.drawings import DRAWINGS

pytestmark = NEEDS_CHROMIUM
SOFTWARE = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
ADAPTER = "Object.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => ({})}});"
# In place of WebGPU's runtime: that of WebAssembly, which answers as ANSWER says
STAND_IN = """import * as ort from './wasm.js';
export const { env, Tensor } = ort;
let runs = 0;
async function create(bytes, options) {
  const session = await ort.InferenceSession.create(bytes, { ...options, executionProviders: ['wasm'] });
  return { run: async (inputs) => { runs += 1; const found = await session.run(inputs); ANSWER; return found; } };
}
export const InferenceSession = { create };
"""
TRUE, LIES = "found", "if (found.logits) found.logits.data[3] += 0.2"
LATER = "if (runs > 4) throw new Error('the device was lost')"


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def expected(bundled, bundled_site):
    """Drawing's class -> the library's answer to the JPEG that the page has of it."""
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    (folder,) = {file.parent for file in bundled_site.rglob("01.jpg")}
    return {label: explainer(str(folder / f"{place:02d}.jpg"), view="whole") for place, label in enumerate(DRAWINGS, 1)}


@pytest.fixture
def served(request, bundled_site, tmp_path):
    """A server of the page; with an `ANSWER` as parameter WebGPU's runtime is the stand-in."""
    folder = bundled_site
    if answer := getattr(request, "param", None):
        folder = shutil.copytree(bundled_site, tmp_path / "site")
        (runtime,) = folder.glob("*/runtime")
        (runtime / "webgpu.js").write_text(STAND_IN.replace("ANSWER", answer))
        shutil.copyfile(runtime / "wasm-loader.js", runtime / "webgpu-loader.js")
        shutil.copyfile(runtime.parent / "network" / "wasm.gz", runtime.parent / "network" / "webgpu.gz")
    server = Plain(folder)
    yield server
    server.close()


def where(page) -> str:
    """What the page says that it computes with."""
    page.click("[data-tab=model]")
    says(page, "[data-model-description]", "in this browser (")
    found = page.inner_text("[data-model-description]").partition("in this browser (")[2].rstrip(")")
    page.click("[data-tab=explain]")
    return found


def webgpu_files(server) -> list[str]:
    return [path for path in server.asked if "webgpu" in path]


def shown_rightly(page, expected, place: int, label: str) -> None:
    """Open an example: the page says what the library says."""
    page.click(f"#abn-explain [data-id='{place:02d}']")
    explained(page, expected[label].label)
    percent = f"{expected[label].probabilities[expected[label].label]:.0%}".rstrip("%")
    assert abs(float(page.inner_text("#abn-explain [data-share-of-it]").rstrip(" %")) - float(percent)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, ISOLATED], ids=["plain", "isolated"])
def test_without_an_adapter_webassembly_computes(browser, served, headers):
    served.headers = headers
    with watched(browser, served.url, locale="en-GB") as page:
        opened(page, served.url)
        threads = min(4, page.evaluate("navigator.hardwareConcurrency")) if headers else 1
        assert where(page) == f"WebAssembly, threads: {threads}"
    assert webgpu_files(served) == []


@pytest.mark.slow
@pytest.mark.parametrize("served", [TRUE], indirect=True)
def test_where_there_is_an_adapter_webgpus_runtime_is_fetched(browser, served, expected):
    with watched(browser, served.url, locale="en-GB") as page:
        page.add_init_script(ADAPTER)
        opened(page, served.url)
        assert where(page) == "WebGPU"
        shown_rightly(page, expected, 2, list(expected)[1])
        assert "WebGPU" in page.text_content("#abn-explain [data-small]")
    names = [path.rpartition("/")[2] for path in webgpu_files(served)]
    assert sorted(names) == ["webgpu-loader.js", "webgpu.gz", "webgpu.js"]


@pytest.mark.parametrize("served", [LIES], indirect=True)
def test_an_adapter_that_computes_wrongly_is_found_out(browser, served, expected):
    with watched(browser, served.url, locale="en-GB") as page:
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.add_init_script(ADAPTER)
        opened(page, served.url)
        assert where(page) == "WebAssembly, threads: 1"
        assert "webgpu: the network computes wrongly here" in said
        shown_rightly(page, expected, 2, list(expected)[1])


@pytest.mark.parametrize("served", [LATER], indirect=True)
def test_an_adapter_that_fails_later_is_taken_over_from(browser, served, expected):
    with watched(browser, served.url, locale="en-GB") as page:
        page.add_init_script(ADAPTER)
        opened(page, served.url)
        assert where(page) == "WebGPU"
        for place, label in list(enumerate(expected, 1))[1:4]:
            shown_rightly(page, expected, place, label)
        assert where(page) == "WebAssembly, threads: 1"


@pytest.mark.slow
def test_an_adapter_that_only_the_page_believes_in(browser, served, expected):
    """Its worker has none: the real runtime does not start on it."""
    with watched(browser, served.url, locale="en-GB") as page:
        page.add_init_script(ADAPTER)
        opened(page, served.url)
        assert where(page) == "WebAssembly, threads: 1"
        shown_rightly(page, expected, 2, list(expected)[1])
    assert webgpu_files(served)


@pytest.mark.slow
def test_a_runtime_of_webgpu_that_does_not_come(browser, served, expected):
    served.missing = ["webgpu"]
    page = browser.new_page(locale="en-GB")
    page.add_init_script(ADAPTER)
    opened(page, served.url)
    assert where(page) == "WebAssembly, threads: 1"
    page.close()


@pytest.mark.slow
def test_webgpu_itself(served, expected):
    """On Chromium's adapter in software, which is slow."""
    with chromium(*SOFTWARE) as browser:
        probe = browser.new_page()
        probe.goto(f"{served.url}/README.md")  # WebGPU wants an address that counts as safe
        if not probe.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no adapter")
        with watched(browser, served.url, locale="en-GB") as page:
            opened(page, served.url)
            assert where(page) == "WebGPU"
            shown_rightly(page, expected, 2, list(expected)[1])
    assert not [path for path in served.asked if path.endswith("runtime/wasm.js")][1:]  # kept for the next visit alone
