"""The report in a browser: headless Chromium from the PATH, driven by Playwright."""

import itertools
import math
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.big_run import big_run
from gansearch.analysis.report.write import write_report
from gansearch.run import RunDir, load

from .report_page import HOSTILE, with_images
from .synthetic_run import FLOOR, make_search

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TRIALS = 5000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a search of 60 trials with images."""
    run = make_search(tmp_path_factory.mktemp("report") / "demo", trials=60, floor=FLOOR)
    with_images(run)
    return write_report(load(run), networks=HOSTILE)


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages from disk. In the end none of them has logged an error, or asked for anything but itself."""
    faults: list[str] = []
    inside = ["request: data:", "request: blob:"]
    contexts = []

    def opened(path: Path, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        own = path.absolute().as_uri()
        inside.append(f"request: {own}")
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: faults.append(f"request: {request.url}"))
        page.goto(own)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [fault for fault in faults if not fault.startswith(tuple(inside))] == []


def _column(page: Any, name: str) -> list[str]:
    """The cells of a column, as a reader sees them."""
    names = [text.strip() for text in page.locator("#table thead th").all_inner_texts()]
    at = names.index(name) + 1
    return page.locator(f"#table tbody tr > :nth-child({at})").all_inner_texts()


def _numbers(texts: list[str]) -> list[float]:
    return [math.inf if text == "-" else float(text) for text in texts]


def _scrolled_through(page: Any) -> None:
    """Scrolls down until every chart is drawn: a chart is drawn where somebody looks."""
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for(state="attached")


def test_all_charts_are_drawn(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    _scrolled_through(page)
    assert page.locator("[data-chart]").count() >= 8
    assert "leads so far" in page.locator("#answer").inner_text()
    assert HOSTILE in page.locator("#figures").inner_text(), "what looks like HTML is shown as text"


def test_the_table_sorts_by_mouse_and_by_keyboard(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    ranked = _column(page, "trial")
    page.get_by_role("button", name="max FID").click()
    assert page.locator('th[aria-sort="ascending"]').inner_text().strip() == "max FID"
    ascending = _numbers(_column(page, "max FID"))
    assert ascending == sorted(ascending) and _column(page, "trial") != ranked
    page.keyboard.press("Enter")  # the button has the focus
    assert page.locator('th[aria-sort="descending"]').inner_text().strip() == "max FID"
    descending = _numbers(_column(page, "max FID"))
    assert [number for number in descending if math.isfinite(number)] == sorted(
        (number for number in descending if math.isfinite(number)), reverse=True
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator('th[aria-sort="ascending"]').count() == 1
    page.get_by_role("button", name="loss.name").click()
    names = _column(page, "loss.name")
    assert names == sorted(names)


def test_the_table_filters_by_words_and_by_status_and_turns_pages(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    assert len(_column(page, "trial")) == 50 and page.locator("#page").inner_text() == "page 1 of 2"
    page.locator("#next").click()
    assert len(_column(page, "trial")) == 10 and page.locator("#next").is_disabled()
    page.locator("#filter").fill("hinge sampled")
    assert set(_column(page, "loss.name")) == {"hinge"} and page.locator("#page").is_hidden()
    count = len(_column(page, "trial"))
    assert page.locator("#count").inner_text() == f"{count} of 60 trials" and 0 < count < 50
    page.locator("#status").select_option("diverged")
    assert set(_column(page, "status")) <= {"diverged"}
    page.locator("#filter").fill("")
    assert _column(page, "trial") == ["0002"]


def test_a_phone_scrolls_in_one_direction(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path, viewport={"width": 360, "height": 780}, is_mobile=True, has_touch=True)
    _scrolled_through(page)
    page.locator(".small th").first.evaluate("name => { name.textContent = 'a_very_long_option_name_'.repeat(6); }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".small td").first.bounding_box()["width"] >= 80


def test_charts_have_the_colours_of_the_page_and_follow_a_change(visit: Callable[..., Any], path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    page = visit(path, color_scheme="dark")
    tick = page.locator("#chart-curves .xtick text").first
    for scheme in ("dark", "light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ink = page.evaluate("getComputedStyle(document.body).color")
        expect(tick).to_have_css("fill", ink)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        low, high = sorted((_brightness(ink), _brightness(ground)))
        assert low < 60 < 200 < high and (high == _brightness(ink)) == (scheme == "dark")


def _brightness(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_texts_have_the_contrast_that_wcag_asks_for(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    texts, grounds = ("ink", "muted", "accent", "best", "full", "broken", "real"), ("bg", "surface")
    read = "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim())"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        names = [*texts, *grounds, "warning"]
        colours = dict(zip(names, page.evaluate(read, names), strict=True))
        for text, ground in [*itertools.product(texts, grounds), ("ink", "warning")]:
            assert _contrast(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)


def _contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 defines it: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_images_have_alternatives_and_headings_their_order(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    assert page.locator("img").count() > 8
    assert page.evaluate("[...document.images].every(image => image.alt && image.complete && image.naturalWidth > 0)")
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(heading => +heading.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"


def test_the_keyboard_comes_to_everything_and_shows_where_it_is(visit: Callable[..., Any], path: Path) -> None:
    page = visit(path)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = {}
    while (name := page.evaluate("document.activeElement.id || document.activeElement.tagName")) != "BODY":
        seen[name] = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        page.keyboard.press("Tab")
    assert {"A", "filter", "status", "BUTTON", "next", "SUMMARY"} <= seen.keys()
    assert "none" not in seen.values(), seen


def test_on_paper_the_charts_are_light_and_all_are_there(visit: Callable[..., Any], path: Path, tmp_path: Path) -> None:
    page = visit(path, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    drawn = "[...document.querySelectorAll('[data-chart]')].every(chart => chart.querySelector('.main-svg'))"
    assert page.evaluate(drawn) and page.locator("nav").is_hidden()
    assert _brightness(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 200
    assert page.evaluate("document.querySelector('details').open")
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000


def test_five_thousand_trials_stay_small_and_open(
    visit: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run: RunDir = big_run(tmp_path / "run", TRIALS)
    written = write_report(load(run))
    assert written.stat().st_size < 20_000_000
    page = visit(written)
    page.locator("#chart-curves .main-svg").first.wait_for(state="attached")
    seconds = page.evaluate("performance.now()") / 1000
    with capsys.disabled():
        size = f"{written.stat().st_size / 1e6:.1f} MB"
        print(f"\nreport of {TRIALS:,} trials: {size}, open with the first chart after {seconds:.1f} s")
    assert page.locator("#count").inner_text() == f"{TRIALS} trials"
    page.get_by_role("button", name="min FID").click()
    page.get_by_role("button", name="min FID").click()
    highest = _numbers(_column(page, "min FID"))
    assert highest == sorted(highest, reverse=True)
    page.locator("#filter").fill("4999")
    assert "4999" in _column(page, "trial")
