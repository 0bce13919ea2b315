"""A headless Chromium and a report for it to open."""

import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulated_run import simulated_study, write_simulated_run
from tfbs_moe.figures.aggregate import read_published
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.figures.draw import Source, draw
from tfbs_moe.figures.style import nothing_to_draw, save
from tfbs_moe.report.build import build_report

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PUBLISHED = Path(__file__).resolve().parents[2] / "resources" / "published.tsv"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
)  # fmt: skip
DRAWN = ("schematic", "auroc.sound", "roc.sound", "logos.sound.CTCF", "logos.sound.STAT3", "published")
GIVEN_REPORT = "TFBS_MOE_REPORT"
"""Environment variable: a report to open in place of the made one, such as the demo's."""
GIVEN_AXE = "TFBS_MOE_AXE"
"""Environment variable: where an axe.min.js lies that is to be used in place of the one that is installed."""


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report: the one that the environment names, or one made from small made tables."""
    if given := os.environ.get(GIVEN_REPORT):
        return Path(given).resolve()
    folder, study, published = tmp_path_factory.mktemp("browser"), simulated_study(), read_published(PUBLISHED)
    write_simulated_run(folder, study)
    for name in DRAWN:
        save(*draw(figure_items(study)[name], Source(folder, study, published)), folder / "figures" / name)
    save(*nothing_to_draw("No site is known."), folder / "figures" / "localisation")
    build_report(folder, study, published, folder / "report" / "index.html", {"commit": "abc"})
    return folder / "report" / "index.html"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Chrome"]:
    """A headless Chromium with a profile of its own that records console and network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with chromedriver on this machine (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    downloads = tmp_path_factory.mktemp("downloads")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    allowed = {"behavior": "allow", "downloadPath": str(downloads)}
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    chrome.downloads = downloads
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for what readers with other senses or devices would miss."""
    if given := os.environ.get(GIVEN_AXE):
        return Path(given).read_text(encoding="utf-8")
    return (files("selenium_axe_python") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
