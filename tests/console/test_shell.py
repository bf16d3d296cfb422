"""The frame around all pages: theme, drawer, palette, keyboard, banner, health (23 checks 3, 23 to 26)."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tests.console.window import Window

SEARCHED = (
    "/workers",
    "/functions",
    "/triggers",
    "/queues",
    "/traces",
    "/logs",
    "/state",
    "/metrics",
    "/configuration",
)


def test_23_check_24_the_theme_is_kept_over_a_reload_and_set_before_anything_is_painted(window: Window) -> None:
    page = window.open("/workers")
    page.get_by_role("button", name="Use the dark theme").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.add_init_script(
        "new MutationObserver(() => { if (document.body && !window.first) window.first = document.documentElement.dataset.theme })"
        ".observe(document, {childList: true, subtree: true})"
    )
    page.reload()
    expect(page.locator("main h1")).to_be_visible()
    assert page.evaluate("window.first") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_system_decides_until_a_theme_is_chosen(browser: Browser, shop: Shop) -> None:
    with Window(browser, shop.url, theme="dark") as window:
        page = window.open()
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        window.assert_nothing_went_wrong()


def test_23_check_24_at_800_pixels_the_drawer_opens_and_closes(browser: Browser, shop: Shop) -> None:
    with Window(browser, shop.url, width=800) as window:
        page = window.open("/workers")
        navigation = page.get_by_role("navigation", name="Pages")
        expect(navigation).to_be_hidden()
        page.get_by_role("button", name="Pages", exact=True).click()
        expect(navigation).to_be_visible()
        navigation.get_by_role("link", name="Functions").click()
        expect(page.locator("main h1")).to_have_text("Functions")
        expect(navigation).to_be_hidden()
        page.get_by_role("button", name="Pages", exact=True).click()
        page.keyboard.press("Escape")
        expect(navigation).to_be_hidden()
        window.assert_nothing_went_wrong()


def test_23_check_25_the_palette_finds_pages_and_functions(window: Window) -> None:
    page = window.open()
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Go to")
    expect(palette.get_by_role("option", name=re.compile("^Workers"))).to_be_visible()
    expect(palette.get_by_role("option", name="orders::place").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(palette.get_by_role("combobox")).to_be_focused()  # what is typed before goes elsewhere
    page.keyboard.type("billing::ref")
    expect(palette.get_by_role("option", name="billing::refund").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/functions\?id=billing%3A%3Arefund"))
    expect(page.get_by_role("region", name="Details")).to_contain_text("it always fails")


def test_23_check_25_question_mark_shows_the_keys_and_slash_goes_to_the_search_of_each_list(window: Window) -> None:
    page = window.open()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    for path in SEARCHED:
        window.open(path)
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox").first).to_be_focused()


def test_the_whole_console_is_reached_by_two_keys(window: Window) -> None:
    page = window.open()
    for key, title in (
        ("w", "Workers"),
        ("f", "Functions"),
        ("r", "Traces"),
        ("l", "Logs"),
        ("q", "Queues"),
        ("o", "Overview"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.locator("main h1")).to_have_text(title)


def test_23_check_23_the_pill_of_health_counts_components_and_names_them(window: Window) -> None:
    page = window.open()
    pill = page.get_by_role("button", name=re.compile("Engine health: Online"))
    expect(pill).to_contain_text(re.compile(r"(\d)/\1"))
    pill.click()
    for name in ("logs", "metrics", "otel", "spans"):
        expect(page.get_by_role("group", name="Engine health")).to_contain_text(name)
    page.keyboard.press("Escape")
    expect(page.get_by_role("group", name="Engine health")).to_be_hidden()


def test_23_check_26_nothing_is_asked_of_another_machine_and_the_policy_is_strict(shop: Shop, window: Window) -> None:
    response = window.page.goto(shop.url + "/")
    assert response is not None
    policy = response.header_value("content-security-policy") or ""
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert "default-src 'self'" in policy
    for path in ("/", "/workers", "/functions", "/traces", "/flow", "/metrics"):
        window.open(path)  # what is refused or asked elsewhere is a problem of the window


def test_an_address_without_a_page_says_so(window: Window) -> None:
    window.page.goto(window.url + "/nowhere")
    expect(window.page.get_by_role("heading", name="No such page")).to_be_visible()


def test_a_page_is_told_what_it_is_called(page: Page, window: Window) -> None:
    window.open("/queues")
    expect(page).to_have_title("Queues · iii console")
