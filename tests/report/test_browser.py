"""A site and a report in a real browser: they sort, filter, lead on, and execute nothing that was recorded."""

import functools
import http.server
import importlib.util
import json
import shutil
import threading
from pathlib import Path

import pytest

from snnbench.report.board import board
from snnbench.report.page import run_page, runs_page
from snnbench.report.site import publish
from snnbench.stats.results import load_results

SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
synthetic = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(synthetic)
HOSTILE = '<img src=x onerror="window.taken = 1"><script>window.taken = 1</script>'
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


def make_site(folder):
    runs, out = folder / "runs", folder / "site"
    names = ["good", "fair", "poor", "worse", "worst", HOSTILE]
    synthetic.write_runs(runs, problems=2, seeds=3, budget=12, names=names)
    victim = next(runs.glob("problem-1/good/*seed1/run.json"))
    content = json.loads(victim.read_text())
    content |= {"status": "failed", "error": {"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}}
    content["algorithm"]["parameters"] = {HOSTILE: HOSTILE}
    victim.write_text(json.dumps(content))
    made = board(load_results(runs), HOSTILE)
    publish(made, out / "a board", plots=False)  # one report with plots is enough
    shown = board(load_results(runs), HOSTILE, where=["problem=problem-1"])
    (out / "report.html").write_text(runs_page(shown), encoding="utf-8")
    (out / "run.html").write_text(run_page(victim.parent), encoding="utf-8")
    return out


@pytest.fixture
def chromium(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


class Page:
    """Opens pages of a folder, or from a server, and finds elements in them."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder

    def open(self, path, width=1200, scheme="light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(path if "://" in path else (self.folder / path).as_uri())
        return self

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.all(selector)[0]

    def js(self, script):
        return self.driver.execute_script(f"return {script}")


def test_in_chromium(chromium, tmp_path):
    # One test: where tests are spread over processes, each of several would start a browser of its own.
    page = Page(chromium, make_site(tmp_path))
    for check in (sorts_and_filters, leads_on, executes_nothing, works_from_a_server, fits_the_screen, is_seen):
        check(page)
        assert chromium.get_log("browser") == [], check
        assert page.js("window.taken") is None, check


def leaderboard(page):
    return [row.text for row in page.all("table")[0].find_elements("css selector", "tbody tr th") if row.is_displayed()]


def sorts_and_filters(page):
    page.open("a board/index.html")
    before = leaderboard(page)
    assert set(before) == {"good", "fair", "poor", "worse", "worst", HOSTILE}
    header = page.all("thead th")[1]
    header.find_element("css selector", "button").click()
    assert leaderboard(page) == sorted(before, key=str.lower)
    assert header.get_attribute("aria-sort") == "ascending"
    header.find_element("css selector", "button").send_keys("\ue007")  # Enter
    assert leaderboard(page) == sorted(before, key=str.lower, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    page.all("thead th")[2].find_element("css selector", "button").click()
    rows = page.all("table")[0].find_elements("css selector", "tbody tr")
    values = [float(row.find_elements("css selector", "td")[1].get_attribute("data-value")) for row in rows]
    assert values == sorted(values)
    assert header.get_attribute("aria-sort") is None
    page.one("input[type=search]").send_keys("WORS")
    assert set(leaderboard(page)) == {"worse", "worst"}
    assert page.one("output").text == "2 of 6 shown"
    page.one("input[type=search]").send_keys(" nothing")
    assert leaderboard(page) == []


def leads_on(page):
    page.open("a board/index.html")
    for text, heading in (
        ("problem-1", "problem-1"),
        ("good", "good"),
        ("problem-0, seed 2", "good on problem-0, seed 2"),
    ):
        links = [link for link in page.all("main a") if link.get_attribute("textContent") == text]
        links[0].click()
        assert page.one("h1").text == heading
    assert "snnbench run --algo" in page.one("pre").text
    assert [link.text for link in page.all("a[download]")] == ["run.json", "recommendation.json", "evaluations.parquet"]
    page.one("header nav a").click()
    assert page.one("h1").text == HOSTILE


def executes_nothing(page):
    for path in ("index.html", "problems/problem-1-v1-error-12.html", "runs/problem-1/good/budget12-seed1/index.html"):
        page.open(f"a board/{path}")
        assert HOSTILE in page.one("body").get_attribute("textContent")
        assert len(page.all("script")) == 1
        assert page.all("img") == []
    for path in ("report.html", "run.html"):
        page.open(path)
        assert HOSTILE in page.one("body").get_attribute("textContent")
        assert page.all("script, img[src=x], link[rel=stylesheet]") == []
        assert len(page.all("figure svg")) >= 1


def works_from_a_server(page):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=page.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.open(f"http://127.0.0.1:{server.server_port}/a%20board/")
        assert len(page.all("th button")) > 5
        page.one("tbody a").click()
        assert page.js("getComputedStyle(document.body).fontFamily").startswith("system-ui")
    finally:
        server.shutdown()
        server.server_close()


def fits_the_screen(page):
    for path in ("a board/index.html", "a board/problems/problem-1-v1-error-12.html", "report.html", "run.html",
                 "a board/runs/problem-1/good/budget12-seed1/index.html"):  # fmt: skip
        for width in (360, 1600):
            page.open(path, width)
            assert page.js("document.documentElement.scrollWidth") <= width, path


def is_seen(page):
    colours = {
        scheme: page.open("a board/index.html", scheme=scheme).js("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert colours["light"] == "rgb(255, 255, 255)"
    assert colours["dark"] != colours["light"]
    page.one("body").send_keys("\ue004")  # Tab
    assert page.js("document.activeElement.className") == "skip"
    assert page.js("document.activeElement.getBoundingClientRect().left") >= 0
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
