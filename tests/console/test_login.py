"""A console that asks for a login: what an observer sees and cannot do (23 §3)."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

import iii
from iii.protocol.access_token import hash_of
from tests.console.window import Window
from tests.processes import EngineProcess, free_port

OBSERVER = "observer-token-of-these-tests"
ADMIN = "admin-token-of-these-tests-12"
WORKER = "worker-token-of-these-tests-1"
CONFIG = """\
workers:
  - name: iii-worker-manager
    config:
      host: 127.0.0.1
      port: {{port}}
      rbac:
        tokens:
          - {{name: greeter-token, hash: '{worker}', allow: [worker], register: ['match("greeter::*")']}}
  - name: iii-observability
    config:
      alerts: [{{name: many-errors, metric: iii.invocations.error, threshold: 1000}}]
  - name: iii-state
  - name: iii-console
    config:
      host: 127.0.0.1
      port: {console}
      rbac:
        tokens:
          - {{name: watcher, hash: '{observer}', allow: [observer]}}
          - {{name: keeper, hash: '{admin}', allow: [admin]}}
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """Where it is served."""
    port = free_port()
    config = CONFIG.format(
        console=port, observer=hash_of(OBSERVER), admin=hash_of(ADMIN), worker=hash_of(WORKER)
    )  # fmt: skip
    with EngineProcess(config=config) as engine:
        worker = iii.register_worker(
            engine.url, iii.InitOptions(worker_name="greeter", headers={"Authorization": f"Bearer {WORKER}"})
        )
        worker.register_function("greeter::hello", lambda data: "hello")
        yield f"http://127.0.0.1:{port}"
        worker.shutdown()


def test_a_wrong_token_is_told_and_a_right_one_opens_what_was_asked_for(browser: Browser, guarded: str) -> None:
    with Window(browser, guarded) as window:
        page = window.open("/functions?q=greeter")
        field = page.get_by_label("Access token")
        field.fill("nobody-has-this-token-here-1234")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("the token is unknown")
        field.fill(ADMIN)
        page.keyboard.press("Enter")
        page.get_by_role("row", name=re.compile("greeter::hello")).click()
        details = page.get_by_role("region", name="Details")
        details.get_by_role("button", name=re.compile("^Call")).click()
        expect(page.get_by_role("region", name="Result")).to_contain_text("hello")
        assert ADMIN not in page.url
        assert ADMIN not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Access token")).to_be_visible()
        window.assert_nothing_went_wrong()


def test_an_observer_sees_and_is_offered_nothing_to_do(browser: Browser, guarded: str) -> None:
    with Window(browser, guarded) as window:
        page = window.open("/workers")
        page.get_by_label("Access token").fill(OBSERVER)
        page.keyboard.press("Enter")
        page.get_by_role("row", name=re.compile("greeter")).click()
        details = page.get_by_role("region", name="Details")
        expect(details).to_contain_text("PYTHON")
        expect(details.get_by_role("button", name="Drain…")).to_have_count(0)
        window.open("/functions?id=greeter::hello")
        expect(details).to_contain_text("Your access rights do not allow to call this function")
        window.open("/state")
        expect(page.get_by_role("button", name="Add…")).to_have_count(0)
        window.open("/alerts")  # 23 check 37
        expect(page.get_by_role("region", name="many-errors")).to_contain_text("iii.invocations.error > 1000")
        expect(page.get_by_role("button", name=re.compile("New rule|Edit…|Delete…|Evaluate"))).to_have_count(0)
        window.assert_nothing_went_wrong()


def test_23_check_31_who_is_connected_with_which_rights_and_who_was_denied(browser: Browser, guarded: str) -> None:
    with Window(browser, guarded) as window:
        page = window.open("/access")
        field = page.get_by_label("Access token")
        field.fill("nobody-has-this-token-either-12")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("the token is unknown")
        field.fill(OBSERVER)
        page.keyboard.press("Enter")
        page.get_by_role("row", name=re.compile("greeter.*greeter-token.*worker")).click()
        details = page.get_by_role("region", name="Details")
        expect(details).to_contain_text("token: greeter-token")
        expect(details).to_contain_text("greeter::*")
        expect(details.get_by_role("group", name="May call")).to_contain_text("patterns")
        window.screen("access")
        page.get_by_role("button", name=re.compile("^Denied")).click()
        expect(page.get_by_role("row", name=re.compile("connect.*the token is unknown")).first).to_be_visible()
        window.assert_nothing_went_wrong()


def test_23_check_35_an_admin_sees_logins_and_ends_one(browser: Browser, guarded: str) -> None:
    with Window(browser, guarded) as other, Window(browser, guarded) as window:
        other.page.goto(guarded + "/workers")
        other.page.get_by_label("Access token").fill(OBSERVER)
        other.page.keyboard.press("Enter")
        expect(other.page.locator("main h1")).to_have_text("Workers")
        page = window.page
        page.goto(guarded + "/access?view=logins")
        page.get_by_label("Access token").fill(ADMIN)
        page.keyboard.press("Enter")
        grid = page.get_by_role("grid", name="Logins")
        expect(grid.get_by_role("row", name=re.compile("keeper.*you"))).to_be_visible()
        buttons = page.get_by_role("button", name="End the login of watcher")
        expect(buttons.first).to_be_visible()
        for left in reversed(range(buttons.count())):  # those of other tests are there too
            buttons.first.click()
            page.get_by_role("dialog").get_by_role("button", name="End the login").click()
            expect(buttons).to_have_count(left)
        expect(other.page.get_by_label("Access token")).to_be_visible()
        window.assert_nothing_went_wrong()
