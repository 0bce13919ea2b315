"""What a reader's browser makes of the report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

DESKTOP, PHONE = (1280, 900), (390, 844)
KEYS_OF_COLUMN = """
const cells = [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]]);
return cells.map(cell => cell.dataset.key ?? cell.textContent);
"""
WIDTHS_OF_IMAGES = """
const done = arguments[0];
const widths = [...document.images].map(image => image.decode().then(() => image.naturalWidth, () => 0));
Promise.all(widths).then(done);
"""


@pytest.fixture
def page(browser: "Chrome", report: Path) -> "Chrome":
    """The report, freshly opened on a desktop's screen."""
    browser.set_window_size(*DESKTOP)
    browser.get(report.as_uri())
    return browser


def _events(page: "Chrome") -> list[dict]:
    return [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]


def test_no_error_on_the_console_and_no_request_to_any_host(browser: "Chrome", report: Path) -> None:
    """The page is read from disk and asks for nothing else."""
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(report.as_uri())
    requested = [
        event["params"]["request"]["url"]
        for event in _events(browser)
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert report.as_uri() in requested
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert [url for url in requested if url.startswith("file:") and url != report.as_uri()] == []
    assert browser.get_log("browser") == []


def test_every_image_is_decoded(page: "Chrome") -> None:
    """No picture is missing or broken."""
    sizes = page.execute_async_script(WIDTHS_OF_IMAGES)
    assert len(sizes) > 0
    assert min(sizes) > 0


def test_tables_sort_up_and_down_by_value(page: "Chrome") -> None:
    """A click on a number's column sorts it as numbers, a second one turns it round."""
    table = page.find_element("css selector", "#results table:has(th.number)")
    headers = table.find_elements("css selector", "thead th")
    place = next(place for place, header in enumerate(headers) if "number" in (header.get_attribute("class") or ""))
    for direction in ("ascending", "descending"):
        button = headers[place].find_element("tag name", "button")
        page.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", button)
        assert headers[place].get_attribute("aria-sort") == direction
        keys = page.execute_script(KEYS_OF_COLUMN, table, place)
        values = [float(key) for key in keys if key]
        assert values == sorted(values, reverse=direction == "descending")
        assert len(set(values)) > 1


def test_the_keyboard_sorts_too(page: "Chrome") -> None:
    """A header's button is reached and pressed without a mouse."""
    button = page.find_element("css selector", ".table thead th button")
    page.execute_script("arguments[0].focus()", button)
    button.send_keys("\ue007")
    assert page.find_element("css selector", ".table thead th").get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_never_scrolls_sideways(page: "Chrome", size: tuple[int, int]) -> None:
    """Wide tables and figures scroll within their own frames."""
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    for fold in page.find_elements("tag name", "details"):
        page.execute_script("arguments[0].open = true", fold)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= size[0]


def test_the_page_prints_with_everything_unfolded(page: "Chrome") -> None:
    """Printed, the report is a PDF of several pages, and what was folded is open."""
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert printed["data"].startswith("JVBERi0")
    page.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script("return [...document.querySelectorAll('details')].every(fold => fold.open)")


def test_without_javascript_all_is_still_there(browser: "Chrome", report: Path) -> None:
    """Text, tables, figures and downloads do not depend on the script."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(report.as_uri())
    pictures = len(browser.find_elements("css selector", "figure img"))
    buttons = len(browser.find_elements("css selector", "th button"))
    texts = browser.find_element("tag name", "main").text
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert pictures > 0
    assert buttons == 0
    assert "The answer" in texts and "Provenance" in texts
