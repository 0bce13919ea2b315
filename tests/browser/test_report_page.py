"""What a reader's browser makes of the report."""

import json
import time
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
PICK = """
arguments[0].value = arguments[1];
arguments[0].dispatchEvent(new Event("change"));
"""
CAPTIONS_OF_SCROLLED_TABLES = """
for (const fold of document.querySelectorAll("details")) fold.open = true;
return [...document.querySelectorAll(".table")].map(table => {
  const rows = table.querySelector(".rows");
  rows.scrollTo(rows.scrollWidth, rows.scrollHeight);
  const frame = table.getBoundingClientRect();
  const boxes = [...table.querySelectorAll(".caption > span")].map(part => part.getBoundingClientRect());
  return {
    name: table.id,
    wide: rows.scrollLeft > 0,
    inside: boxes.every(box => box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.top >= frame.top
      && box.bottom <= rows.getBoundingClientRect().top + 1),
    reached: rows.tabIndex === 0,
  };
});
"""
LONG_TABLES = """
for (const fold of document.querySelectorAll("details")) fold.open = true;
return [...document.querySelectorAll(".table")].filter(table => table.querySelectorAll("tbody tr").length > 40).map(
  table => {
    const rows = [...table.querySelectorAll("tbody tr")];
    const said = table.querySelector(".on-paper");
    return {
      rows: rows.length,
      shown: rows.filter(row => getComputedStyle(row).display !== "none").length,
      said: getComputedStyle(said).display === "none" ? "" : said.textContent,
    };
  }
);
"""
FIRST_ROWS_OF_TABLES = """
for (const body of document.querySelectorAll("tbody")) {
  for (const row of [...body.rows].slice(6)) row.remove();
}
"""
TINY_FILES = """
const pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
for (const image of document.images) image.src = pixel;
for (const link of document.querySelectorAll("a[href^='data:']")) link.href = pixel;
"""
LONG_CHOICES = """
for (const select of document.querySelectorAll("select")) select.append(new Option("a long name ".repeat(20)));
"""
SHOWN_ROWS = """
const rows = [...document.querySelectorAll("tbody tr")].filter(row => !row.classList.contains("found-not"));
return rows.map(row => row.textContent);
"""
# Seconds; the busiest machine takes less.
PATIENCE = 600.0


@pytest.fixture
def page(browser: "Chrome", report: Path) -> "Chrome":
    """The report, freshly opened on a desktop's screen."""
    browser.set_window_size(*DESKTOP)
    browser.get(report.as_uri())
    return browser


def _screen(size: tuple[int, int]) -> dict[str, object]:
    return {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}


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
    """Wide tables and figures scroll within their own frames, and a long name in a choice is cut."""
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(size))
    for fold in page.find_elements("tag name", "details"):
        page.execute_script("arguments[0].open = true", fold)
    page.execute_script(LONG_CHOICES)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= size[0]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_tables_caption_and_button_stay_in_view(page: "Chrome", size: tuple[int, int]) -> None:
    """However far a table is scrolled, what it is and how to save it is seen; the keyboard reaches what scrolls."""
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(size))
    seen = page.execute_script(CAPTIONS_OF_SCROLLED_TABLES)
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert any(table["wide"] for table in seen)
    assert [table["name"] for table in seen if not table["inside"]] == []
    assert [table["name"] for table in seen if not table["reached"]] == []


def test_long_tables_are_cut_on_paper_and_say_so(page: "Chrome") -> None:
    """A printed table has forty rows at most, and says how many there are."""
    long = page.execute_script(LONG_TABLES)
    assert len(long) > 0
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = page.execute_script(LONG_TABLES)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert all(table["shown"] == table["rows"] and table["said"] == "" for table in long)
    assert all(table["shown"] == 40 and f"the first 40 of {table['rows']:,} rows" in table["said"] for table in printed)


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


def test_search_keeps_the_rows_and_logos_that_hold_the_words(page: "Chrome") -> None:
    """A factor's name leaves its rows in the tables and its logos, and clearing it brings all back."""
    field = page.find_element("id", "find-text")
    everything = page.execute_script(SHOWN_ROWS)
    field.send_keys("ctcf")
    texts = page.execute_script(SHOWN_ROWS)
    assert 0 < len(texts) < len(everything)
    assert all("ctcf" in text.lower() for text in texts)
    assert str(len(texts)) in page.find_element("id", "find-count").text
    away = page.find_elements("css selector", "figure[id^='figure-logos-'].found-not")
    assert all("ctcf" not in figure.get_attribute("id") for figure in away)
    field.clear()
    field.send_keys(" ")
    assert page.execute_script(SHOWN_ROWS) == everything


def test_logos_are_picked_one_by_one(page: "Chrome") -> None:
    """The picker shows one figure of logos, or all of them."""
    logos = page.find_elements("css selector", "figure[id^='figure-logos-']")
    if len(logos) < 2:
        pytest.skip("this report has fewer than two figures of logos")
    assert [logo.is_displayed() for logo in logos].count(True) == 1
    picker = page.find_element("id", "logo-picker")
    last = logos[-1].get_attribute("id")
    page.execute_script(PICK, picker, last)
    assert [logo.get_attribute("id") for logo in logos if logo.is_displayed()] == [last]
    page.execute_script(PICK, picker, "")
    assert all(logo.is_displayed() for logo in logos)


@pytest.mark.parametrize("chart", ["dots", "curves", "bars"])
def test_charts_answer_to_choice_and_pointer(page: "Chrome", chart: str) -> None:
    """Every mark says what it stands for; a model that is unticked goes; another choice draws another chart."""
    explorer = page.find_element("css selector", f".explorer[data-chart='{chart}']")
    count = len(explorer.find_elements("css selector", ".mark"))
    assert count > 0
    page.execute_script("arguments[0].querySelector('.mark').dispatchEvent(new Event('mouseenter'))", explorer)
    said = explorer.find_element("tag name", "output").text
    assert said == page.execute_script("return arguments[0].querySelector('.mark title').textContent", explorer)
    page.execute_script("arguments[0].querySelector('input[type=checkbox]').click()", explorer)
    assert len(explorer.find_elements("css selector", ".mark")) < count
    before = page.execute_script("return arguments[0].querySelector('svg').getAttribute('aria-label')", explorer)
    select = explorer.find_elements("tag name", "select")[-1]
    values = [option.get_attribute("value") for option in select.find_elements("tag name", "option")]
    other = next(value for value in values if value != select.get_attribute("value"))
    page.execute_script(PICK, select, other)
    after = page.execute_script("return arguments[0].querySelector('svg').getAttribute('aria-label')", explorer)
    assert after != before


def test_figures_open_large_and_close(page: "Chrome") -> None:
    """The large view holds the same picture, and its button closes it."""
    opener = page.find_element("css selector", "figure .tool")
    page.execute_script("arguments[0].click()", opener)
    dialog = page.find_element("tag name", "dialog")
    assert dialog.is_displayed()
    assert dialog.find_element("tag name", "img").get_attribute("alt")
    dialog.find_element("tag name", "button").click()
    assert not dialog.is_displayed()


@pytest.mark.parametrize(("suffix", "start"), [("pdf", b"%PDF"), ("tsv", b""), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_a_figure_is_saved_in_every_format(page: "Chrome", suffix: str, start: bytes) -> None:
    """A click on a format saves a file of that format, whether the page holds it plain, packed or has to draw it."""
    for figure in page.find_elements("css selector", "figure")[:3]:
        link = figure.find_element("xpath", f".//a[text()='{suffix.upper()}']")
        before = set(page.downloads.iterdir())
        page.execute_script("arguments[0].click()", link)
        assert _saved(page, before).startswith(start)


def _saved(page: "Chrome", before: set[Path]) -> bytes:
    """Wait for a new whole file among the downloads, and return what it holds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        new = [path for path in page.downloads.iterdir() if path not in before]
        if new and not any(path.suffix == ".crdownload" or path.name.startswith(".") for path in new):
            return new[0].read_bytes()
        time.sleep(0.05)
    raise AssertionError(f"nothing was saved within {PATIENCE} s")


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", DESKTOP), ("dark", PHONE)])
def test_no_serious_accessibility_fault(page: "Chrome", axe: str, scheme: str, size: tuple[int, int]) -> None:
    """axe-core finds no serious or critical fault, with everything unfolded, on light and dark paper and a phone."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(size))
    page.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    # A table's first rows stand for the others, which are made alike, and take it most of its time.
    page.execute_script(FIRST_ROWS_OF_TABLES)
    # It copies every element's source, and the files that a page holds are megabytes of it.
    page.execute_script(TINY_FILES)
    page.set_script_timeout(PATIENCE)
    page.execute_script(axe)
    found = page.execute_async_script(
        "const done = arguments[0];"
        "axe.run({resultTypes: ['violations']})"
        ".then(({violations, passes}) => done({violations, passes: passes.map(({id}) => id)}))"
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    faults = [
        f"{fault['impact']}: {fault['help']} ({fault['nodes'][0]['target']}, {len(fault['nodes'])} places)"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == []
    assert len(found["passes"]) > 10
