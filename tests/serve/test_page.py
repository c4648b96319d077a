"""The page of `alexnet serve` in Chromium: with a keyboard, on a phone, for a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from alexnet.serve.service import Service
from alexnet.serve.static import page_files
from alexnet.training.run_folder import RunFolder
from support.browser import chromium
from support.server_process import Server, running_server
from support.serving import image_file, made_classifier, made_models, with_client

pytestmark = pytest.mark.timeout(240)
DAMAGED = image_file()[:99]
NO_CAPTUM = {"detail": "explain needs the package captum, which is not installed"}
WIDE, PHONE = 1200, 360


def test_the_page_is_whole_and_has_nothing_inline() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> list[httpx.Response]:
        return [await client.get(path) for path in ("/", *paths, "/page/../app.py", "/page/no.js")]

    paths = [f"/page/{name}" for name in page_files()]
    page, *files = with_client(made_models("lenet5"), ask)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(
        r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=|https?:", page.text
    )
    assert [file.status_code for file in files] == [200] * len(paths) + [404, 404]
    named = set(re.findall(r'(?:src|href)="page/(.+?)"', page.text))
    for name, text in page_files().items():
        named |= set(re.findall(r'from "\./(.+?)"', text))
        assert not re.search(r"innerHTML|eval\(|https?://", text), name
    assert named | {"index.html"} == set(page_files())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def server(trained_once: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two models: that of the tiny run, and one with random weights."""
    other = tmp_path_factory.mktemp("models") / "other.safetensors"
    made_classifier("alexnet").save(other)
    words = (f"tiny={trained_once.path}", other, "--decoders", 1, "--training-images")
    with running_server(*words) as running:
        yield running


@contextmanager
def opened(
    browser: Any,
    server: Server,
    width: int = WIDE,
    prepare: Callable[[Any], None] = lambda page: None,
    **options: Any,
) -> Iterator[Any]:
    """The page; its console must say nothing but that a request has failed."""
    page = browser.new_page(viewport={"width": width, "height": 800}, **options)
    page.set_default_timeout(20_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    prepare(page)
    page.goto(server.url)
    yield page
    page.close()
    assert [text for text in said if not text.startswith("Failed to load resource")] == []


def choose(page: Any, *contents: bytes) -> None:
    """Choose files, called 0.png, 1.png, ..."""
    names = (f"{i}.png" for i in range(len(contents)))
    page.set_input_files(
        "#files",
        [
            {"name": n, "mimeType": "image/png", "buffer": c}
            for n, c in zip(names, contents, strict=False)
        ],
    )


def finish(page: Any) -> None:
    """Wait until all images are answered."""
    page.locator(".answer").first.wait_for()
    page.locator("#progress").wait_for(state="hidden")


def serious_findings(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']}"
        for one in found if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]  # fmt: skip


@pytest.mark.slow
def test_several_images_get_bars_of_every_model_that_is_shown(browser: Any, server: Server) -> None:
    with opened(browser, server) as page:
        page.locator("#models").wait_for()
        assert re.search(
            r"tiny\n\d+\.\d %\ntest error\n95 % interval .* n = 12",
            page.locator("#cards").inner_text(),
        )
        assert page.get_by_text("Its error is not known.").is_visible()
        choose(page, image_file(1), image_file(2), DAMAGED)
        finish(page)
        assert page.locator(".result").count() == 3
        assert page.locator(".bars").count() == 4
        assert page.locator(".bars").first.locator("li").count() == 5
        assert page.locator(".error", has_text="The image cannot be read: ").count() == 2
        tiny = page.locator(".result").nth(1).get_by_label("Answer of tiny")
        assert re.search(r"\d\.\d %", tiny.locator(".bars").inner_text())
        before = page.locator("#results").inner_text()
        page.get_by_label("ten crops").check()
        finish(page)
        page.wait_for_function(
            "before => document.querySelector('#results').innerText !== before", arg=before
        )
        finish(page)
        assert page.locator("#results").inner_text() != before
        page.get_by_role("checkbox", name="other").uncheck()
        assert page.locator(".bars").count() == 2
        page.get_by_label("Remove 0.png").click()
        assert page.locator(".result").count() == 2
        page.get_by_text("Remove all").click()
        assert page.locator(".result").count() == 0


OPACITY = "document.querySelector('.layer').style.opacity"


@pytest.mark.slow
def test_a_slider_fades_the_map_of_a_class_in(browser: Any, server: Server) -> None:
    with opened(browser, server) as page:
        page.locator("#models").wait_for()
        choose(page, image_file(1))
        finish(page)
        other = page.get_by_label("Answer of other")
        assert page.locator(".fade").is_hidden()
        other.get_by_role("button", name="Grad-CAM").click()
        slider = page.get_by_role("slider")
        slider.wait_for()
        assert (slider.input_value(), page.evaluate(OPACITY)) == ("60", "0.6")
        first = page.locator(".layer canvas").get_attribute("aria-label")
        assert re.match(
            r"Where \w+ of other speaks for \w+\. Highest at \d+ % from the left", first
        )
        slider.press("End")
        assert page.evaluate(OPACITY) == "1"
        assert slider.get_attribute("aria-valuetext") == "100 %"
        slider.press("Home")
        assert page.evaluate(OPACITY) == "0"
        assert serious_findings(page) == []
        other.get_by_label("Class that Grad-CAM explains").select_option(index=1)
        page.wait_for_function(
            "first => document.querySelector('.layer canvas').ariaLabel !== first", arg=first
        )
        page.route("**/v1/explain*", lambda route: route.fulfill(status=422, json=NO_CAPTUM))
        other.get_by_role("button", name="Grad-CAM").click()
        page.get_by_text("Explain needs the package captum, which is not installed.").wait_for()


@pytest.mark.slow
def test_a_convolution_shows_its_strongest_channels(browser: Any, server: Server) -> None:
    with opened(browser, server, PHONE) as page:
        page.locator("#models").wait_for()
        choose(page, image_file(1))
        finish(page)
        button = page.get_by_label("Answer of other").get_by_role("button", name="Layers")
        button.click()
        panel = page.get_by_label("Layers of other")
        panel.get_by_role("button", name="conv2").press("Enter")
        panel.locator(".channels canvas").first.wait_for()
        assert panel.locator(".net button[aria-pressed=true]").inner_text().startswith("conv2")
        numbers = panel.locator(".channels button").evaluate_all(
            "all => all.map(one => parseFloat(one.ariaLabel.split(' ').at(-1)))"
        )
        assert numbers == sorted(numbers, reverse=True)
        panel.locator(".channels button").first.click()
        assert re.match(
            r"Channel \d+ of conv2\. Highest",
            page.locator(".layer canvas").get_attribute("aria-label"),
        )
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE
        assert serious_findings(page) == []
        button.click()
        assert panel.count() == 0


ARE_LOADED = """selectors => selectors.every(selector =>
  [...document.querySelectorAll(selector)].every(image => image.naturalWidth > 1))"""


@pytest.mark.slow
def test_training_images_are_shown_or_the_page_says_why_not(browser: Any, server: Server) -> None:
    with opened(browser, server) as page:
        page.get_by_text("not shown: the model names no data set.").wait_for()
        choose(page, image_file(1))
        finish(page)
        assert page.get_by_role("button", name="Nearest training images").count() == 1
        page.get_by_role("button", name="Nearest training images").click()
        page.get_by_label("Nearest training images of tiny").locator("img").first.wait_for()
        page.get_by_text("Training images of every class").click()
        page.locator(".class-examples img").first.scroll_into_view_if_needed()
        shown = [".panel img", ".class-examples:first-child img"]
        page.wait_for_function(ARE_LOADED, arg=shown)
        assert [page.locator(selector).count() for selector in shown] == [6, 3]
        assert serious_findings(page) == []


PASTE = """async (kind) => {
  const bytes = await (await fetch(kind.url)).blob();
  const data = new DataTransfer();
  if (kind.name) data.items.add(new File([bytes], kind.name, { type: "image/png" }));
  const Made = kind.event === "paste" ? ClipboardEvent : DragEvent;
  document.dispatchEvent(new Made(kind.event, { [kind.key]: data, bubbles: true }));
}"""


@pytest.mark.slow
def test_images_are_pasted_and_dropped(browser: Any, server: Server) -> None:
    paste = {"event": "paste", "key": "clipboardData", "url": "/"}
    drop = {"event": "drop", "key": "dataTransfer", "url": "/"}
    with opened(browser, server) as page:
        page.evaluate(PASTE, {**paste, "name": ""})
        assert page.get_by_role("alert").get_by_text("no image in the clipboard").is_visible()
        page.evaluate(PASTE, {**paste, "name": "pasted.png"})
        page.evaluate(PASTE, {**drop, "name": "dropped.png"})
        finish(page)
        assert page.locator("figcaption").all_inner_texts() == ["dropped.png", "pasted.png"]
        assert page.locator("#notice").is_hidden()


@pytest.mark.slow
def test_the_keyboard_alone_is_enough(browser: Any, server: Server) -> None:
    def choose_one(page: Any) -> None:
        file = {"name": "a.png", "mimeType": "image/png", "buffer": image_file()}
        page.on("filechooser", lambda chooser: chooser.set_files(file))

    with opened(browser, server, prepare=choose_one) as page:
        page.locator("#models").wait_for()
        for name in ("Skip to the content", "theme: auto", "Choose images"):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.textContent") == name
        page.keyboard.press("Enter")
        finish(page)
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert page.get_by_label("ten crops").is_checked()
        assert "a.png: " in page.locator("#status").inner_text()


@pytest.mark.slow
def test_it_fits_a_phone(browser: Any, server: Server) -> None:
    with opened(browser, server, PHONE, is_mobile=True, has_touch=True) as page:
        page.locator("#photograph").wait_for()
        assert page.locator("#camera").get_attribute("capture") == "environment"
        choose(page, image_file(1), DAMAGED)
        finish(page)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, server: Server, scheme: str) -> None:
    with opened(browser, server, color_scheme=scheme) as page:
        page.locator("#models").wait_for()
        assert serious_findings(page) == []
        choose(page, image_file(1), DAMAGED)
        finish(page)
        assert serious_findings(page) == []


def needs_token(page: Any) -> None:
    """Let a request pass only with the token."""

    def answer(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer a token of many letters":
            route.continue_()
        else:
            route.fulfill(status=401, json={"detail": "send the server's token"})

    page.route("**/v1/**", answer)


@pytest.mark.slow
def test_the_token_is_asked_for_and_kept_in_the_tab(browser: Any, server: Server) -> None:
    with opened(browser, server, prepare=needs_token) as page:
        field = page.get_by_label("This server asks for a token.")
        field.fill("another")
        field.press("Enter")
        page.get_by_text("That is not the server’s token.").wait_for()
        field.fill("a token of many letters")
        field.press("Enter")
        page.locator("#models").wait_for()
        assert field.is_hidden()
        choose(page, image_file())
        finish(page)
        assert page.locator(".bars").count() == 2
        page.reload()
        page.locator("#models").wait_for()
        assert field.is_hidden()
        assert page.evaluate("localStorage.length + document.cookie.length") == 0


@pytest.mark.slow
def test_a_busy_server_is_asked_again_and_one_that_ended_is_told(
    browser: Any, server: Server
) -> None:
    answers = iter([503])

    def busy_once(route: Any) -> None:
        if status := next(answers, 0):
            problem = {"detail": "9 images wait; try again in a moment"}
            route.fulfill(status=status, json=problem, headers={"Retry-After": "1"})
        else:
            route.continue_()

    with opened(browser, server) as page:
        page.locator("#models").wait_for()
        page.get_by_role("checkbox", name="other").uncheck()
        page.route("**/v1/predict*", busy_once)
        choose(page, image_file())
        page.get_by_text("9 images wait; try again in a moment.").wait_for()
        finish(page)
        assert page.locator(".bars").count() == 1
        page.unroute("**/v1/predict*")
        page.route("**/v1/predict*", lambda route: route.abort("connectionrefused"))
        choose(page, image_file(2))
        page.get_by_text("The server does not answer").first.wait_for()
        page.unroute("**/v1/predict*")
        page.get_by_role("button", name="Try again").click()
        finish(page)
        assert page.locator(".bars").count() == 2


@pytest.mark.slow
def test_a_page_whose_server_is_away_says_so(browser: Any, server: Server) -> None:
    def away(page: Any) -> None:
        page.route("**/v1/models*", lambda route: route.abort("connectionrefused"))

    with opened(browser, server, prepare=away) as page:
        page.get_by_role("alert").get_by_text("The server does not answer").wait_for()
        page.unroute("**/v1/models*")
        page.get_by_role("button", name="Try again").click()
        page.locator("#models").wait_for()
        assert page.locator("#notice").is_hidden()
