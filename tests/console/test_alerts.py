"""Rules of alerts (23 check 37)."""

import re

from playwright.sync_api import expect

from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_37_a_rule_is_made_changed_and_deleted(window: Window, shop: Shop) -> None:
    page = window.open("/alerts")
    page.get_by_role("button", name="New rule…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label(re.compile("^enabled"))).to_be_checked()
    dialog.get_by_label(re.compile("^name")).fill("many calls")
    dialog.get_by_label(re.compile("^metric")).fill("iii.invocatons.total")
    dialog.get_by_label(re.compile("^threshold")).fill("1")
    dialog.get_by_role("button", name="Make the rule").click()
    metric = dialog.get_by_label(re.compile("^metric"))
    expect(metric).to_have_attribute("aria-invalid", "true")
    expect(metric).to_have_accessible_description(re.compile("did you mean 'iii.invocations.total'"))
    metric.fill("iii.invocations.total")
    dialog.get_by_label(re.compile("^type")).select_option(label='"webhook"')
    dialog.get_by_label(re.compile("^url")).fill("nowhere")
    dialog.get_by_role("button", name="Make the rule").click()
    expect(dialog.get_by_label(re.compile("^url"))).to_have_accessible_description(re.compile("does not have the form"))
    dialog.get_by_label(re.compile("^type")).select_option(label='"log"')
    dialog.get_by_label(re.compile("^url")).fill("")
    dialog.get_by_role("button", name="Make the rule").click()
    expect(dialog).to_be_hidden()
    card = page.get_by_role("region", name="many calls")
    expect(card).to_contain_text("iii.invocations.total > 1 in 1")
    page.get_by_role("button", name="Evaluate now").click()
    expect(card).to_contain_text("firing")

    page.get_by_role("button", name="New rule…").click()
    dialog.get_by_label(re.compile("^name")).fill("many calls")
    dialog.get_by_role("button", name="Make the rule").click()
    expect(dialog.get_by_label(re.compile("^name"))).to_have_accessible_description(re.compile("edit that one"))
    window.screen("alert-rule")
    dialog.get_by_role("button", name="Cancel").click()

    card.get_by_role("button", name="Edit…").click()
    dialog.get_by_label(re.compile("^threshold")).fill("1000000000")
    dialog.get_by_label(re.compile("^operator")).select_option(label='">="')
    dialog.get_by_role("button", name="Change the rule").click()
    expect(card).to_contain_text("≥ 1000000000 in 1")
    window.screen("alerts")

    card.get_by_role("button", name="Delete…").click()
    expect(dialog).to_contain_text("it writes no line into the log any more")
    dialog.get_by_role("button", name="Cancel").click()
    assert [rule["name"] for rule in shop.ask("engine::alerts::list")["rules"]] == ["many calls"]
    card.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()  # it is offered for some seconds
    expect(page.get_by_text("It is as it was before.")).to_be_visible()
    shop.until(
        lambda: [rule["threshold"] for rule in shop.ask("engine::alerts::list")["rules"]] == [1e9], "the rule of before"
    )
    expect(card).to_contain_text("≥ 1000000000 in 1")
    (rule,) = shop.ask("engine::alerts::list")["rules"]
    card.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("many calls is deleted.").last).to_be_visible()
    shop.call("engine::alerts::set", rule={**rule, "threshold": 7})
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_text("there is a rule 'many calls'").first).to_be_visible()
    assert [each["threshold"] for each in shop.ask("engine::alerts::list")["rules"]] == [7]
    expect(card).to_contain_text("7 in 1")
    card.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    shop.until(lambda: shop.ask("engine::alerts::list")["rules"] == [], "the end of the rule")
    expect(card).to_have_count(0)


def test_16_s6_7_a_card_says_that_the_alert_was_not_delivered(window: Window, shop: Shop) -> None:
    action = {"type": "webhook", "url": "http://127.0.0.1:9/"}
    rule = {"name": "to nobody", "metric": "iii.workers.active", "threshold": -1, "action": action}
    shop.call("engine::alerts::set", rule=rule)
    page = window.open("/alerts")
    card = page.get_by_role("region", name="to nobody")
    page.get_by_role("button", name="Evaluate now").click()
    expect(card).to_contain_text(re.compile("not delivered .* ago: webhook refused: Private IP blocked"))
    shop.call("engine::alerts::delete", name="to nobody")
