"""What can be undone is, unless somebody else was there meanwhile (23 §9); where boxes of the map were put is kept (23 check 13)."""

from playwright.sync_api import Page, expect

from tests.console.shop import Shop
from tests.console.window import Window

KEPT = {"scope": "__console.flowConfigs", "key": "map"}


def delete(page: Page) -> None:
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_23_9_a_deleted_entry_comes_back_unless_another_was_set_meanwhile(window: Window, shop: Shop) -> None:
    shop.call("state::set", scope="mended", key="kept", value={"n": 1})
    page = window.open("/state?scope=mended&key=kept")
    expect(page.get_by_role("button", name="Delete…")).to_be_visible()
    delete(page)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("It is as it was before.")).to_be_visible()
    assert shop.ask("state::get", scope="mended", key="kept") == {"n": 1}

    page = window.open("/state?scope=mended&key=kept")
    delete(page)
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_visible()
    shop.call("state::set", scope="mended", key="kept", value="of somebody else")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("Somebody else changed kept meanwhile: nothing was undone.")).to_be_visible()
    assert shop.ask("state::get", scope="mended", key="kept") == "of somebody else"


def applied(window: Window, entry: str, value: str) -> Page:
    page = window.open(f"/configuration?view=entries&entry={entry}")
    page.get_by_role("button", name="Edit…").click()
    page.get_by_label("Value (JSON)").fill(value)
    page.get_by_role("button", name="Review the change…").click()
    page.get_by_role("dialog").get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text(f"{entry} is applied.")).to_be_visible()
    return page


def test_23_9_configuration_is_put_back_as_it_was_written_unless_another_was_set_meanwhile(
    window: Window, shop: Shop
) -> None:
    placeholder = {"n": "${NOWHERE_SET:1}"}
    named = {"id": "undone", "name": "Undone", "description": "For a test."}
    shop.call("configuration::register", **named, schema={}, initial_value=placeholder)
    page = applied(window, "undone", '{"n": 2}')
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("It is as it was before.")).to_be_visible()
    assert shop.ask("configuration::get", id="undone", raw=True)["value"] == placeholder

    page = applied(window, "undone", '{"n": 3}')
    shop.call("configuration::set", id="undone", value={"n": "of somebody else"})
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("Somebody else changed undone meanwhile: nothing was undone.")).to_be_visible()
    assert shop.ask("configuration::get", id="undone")["value"] == {"n": "of somebody else"}
    shop.call("configuration::delete", id="undone")


def test_23_check_13_boxes_of_the_map_stay_where_they_were_put(window: Window, shop: Shop) -> None:
    page = window.open("/flow")
    box = page.get_by_role("group", name="function billing::refund")
    expect(box).to_be_visible()
    place = box.bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 20, place["y"] + 20)
    page.mouse.down()
    page.mouse.move(place["x"] + 120, place["y"] + 90, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Lay out by itself")).to_be_visible()
    kept = shop.until(lambda: (shop.ask("state::get", **KEPT) or {}).get("config"), "a saved place")
    assert kept.keys() == {"function:billing::refund"}

    page = window.open("/flow")
    page.get_by_role("button", name="Lay out by itself").click()
    shop.until(lambda: shop.ask("state::get", **KEPT)["config"] == {}, "no place")
