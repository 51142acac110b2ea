"""The page in a real browser: for those who cannot see it, on a phone, and with what fits on the first screen."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recsys.evaluation.results import Chances, Comparison
from recsys.evaluation.significance import compare_pairs
from recsys.evaluation.tiers import tiers
from recsys.report.contents import draw_plots, report_of
from recsys.report.html import html_page
from recsys.report.sections.use import Winner
from recsys.winner.about import About

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def page_of_all(whole: tuple[Comparison, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section, the chances and the tiers."""
    comparison, predictions = whole
    rows = {row.name: [predictions[row.name].to_numpy()] for row in (*comparison.models, *comparison.baselines)}
    user, rating = predictions["user"].to_numpy(), predictions["rating"].to_numpy()
    tested: dict[str, Any] = {"smallest_effect": 0.005, "resamples": 100, "seed": 1}
    differences = compare_pairs(user, rating, rows, [("dnn_tuned", "mf_tuned")], **tested)
    changes = {
        "tiers": tiers(user, rating, rows, differences, **tested),
        "chances": Chances(mf=0.26, equal=0.735, dnn=0.005),
    }
    changed = comparison.model_copy(update=changes)
    about = About.model_validate(
        {
            **{"name": "mf_tuned", "title": "tuned MF", "reason": "it has the lowest validation error", "files": {}},
            **{"refitted": True, "ratings": 15_000, "seed": 42, "settings": {}, "lowest": 0.5, "highest": 5},
        }
    )
    winner = Winner("reports/sample-fair/winner", about, [])
    page = html_page(report_of(changed, draw_plots(changed, predictions), winner, "reports/sample-fair"))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, path: Path, width: int, height: int, scheme: str = "light") -> Any:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True, offline=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(browser: Any, page_of_all: Path, width: int, height: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    page = opened(browser, page_of_all, width, height, scheme)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found = Axe().run(page).response["violations"]
    serious = [
        f"{one['id']} at {', '.join(node['html'][:120] for node in one['nodes'][:3])}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize(
    ("width", "height", "last"),
    [(900, 700, "header"), (390, 844, "header figure")],  # on a phone, the command stands below
)
def test_the_first_screen_holds_the_answer(browser: Any, page_of_all: Path, width: int, height: int, last: str) -> None:
    page = opened(browser, page_of_all, width, height)
    box = page.locator(last).first.bounding_box()
    assert box["y"] + box["height"] <= height
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_details_are_folded_until_somebody_goes_there(browser: Any, page_of_all: Path) -> None:
    page = opened(browser, page_of_all, 1280, 900)
    table = page.locator("#evidence ~ details table").first
    assert page.locator("#results ~ .scroll table").first.is_visible()
    assert not table.is_visible()
    page.locator(".contents a[href='#evidence']").click()
    table.wait_for(state="visible")  # the browser tells of a new address in its own time
    page.locator("#evidence ~ details > summary").click()
    assert not table.is_visible()
    page.locator(".contents a[href='#evidence']").click()
    table.wait_for(state="visible")  # the browser tells of a new address in its own time


def test_a_link_to_what_is_folded_opens_it(browser: Any, page_of_all: Path) -> None:
    page = opened(browser, page_of_all, 1280, 900)
    page.goto(f"{page_of_all.as_uri()}#search")
    page.reload()
    page.locator("#search ~ details table").first.wait_for(state="visible")


def test_all_is_opened_at_once_and_by_printing(browser: Any, page_of_all: Path) -> None:
    page = opened(browser, page_of_all, 1280, 900)
    sections, folded = page.locator("section > details"), page.locator("section > details:not([open])")
    assert folded.count() == sections.count() > 10
    for name, left in (("Open all", 0), ("Close all", sections.count())):
        page.get_by_role("button", name=name).click()
        assert folded.count() == left
    lower = page.evaluate("document.documentElement.scrollHeight")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollHeight") > 2 * lower


def test_the_page_works_without_its_script(browser: Any, page_of_all: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_of_all.as_uri())
    assert page.locator("table").count() > 5
    assert page.locator("button").count() == 0
