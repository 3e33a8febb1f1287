"""From a query to the pager: real servers and the real rules, every duration divided: a day is seconds."""

import json
from typing import NamedTuple

import pytest
from quick import DRIFT, LAUNCH, PAGE, STALE, world

from dashboard.servers import get, wait_for


class Story(NamedTuple):
    """What was seen in three acts: quiet days, trouble, recovery."""

    quiet: list
    trouble: list
    recovery: list
    held: set  # back by Alertmanager, at the end of the trouble
    firing: set


def inhibited(world):
    """Return name and segment of the alerts that another one holds back."""
    alerts = json.loads(get(f"{world.alertmanager.url}/api/v2/alerts"))
    held = [each["labels"] for each in alerts if each["status"]["inhibitedBy"]]
    return {(labels["alertname"], labels.get("segment", "")) for labels in held}


@pytest.fixture(scope="module")
def story(needs_prometheus, tmp_path_factory):
    with world(tmp_path_factory.mktemp("world"), seconds=8) as here:
        here.day(whole=True)
        wait_for(lambda: here.told("deadman", "DriftWatchdog"), "the watchdog")
        quiet = list(here.messages)
        here.days_until(
            lambda: (
                here.told("page", PAGE, "mobile")
                and here.told("ticket", DRIFT, "web")
                and (DRIFT, "mobile") in inhibited(here)
                and ("SearchOutcomeDegraded", "mobile") in inhibited(here)
            ),
            "a page about mobile, a ticket about web, tickets about mobile held back",
            *(LAUNCH, STALE),
        )
        trouble, held, firing = here.messages[len(quiet) :], inhibited(here), here.firing()
        here.days_until(
            lambda: (
                here.told("page", PAGE, "mobile", "resolved")
                and here.told("ticket", DRIFT, "web", "resolved")
                and not {name for name, _ in here.harm()} & {PAGE, DRIFT}
            ),
            "the end of the page and of the ticket",
            whole=True,
        )
        yield Story(quiet, trouble, here.messages[len(quiet) + len(trouble) :], held, firing)


def about(messages, to, status="firing"):
    """Return name and segment of the alerts that were sent somewhere."""
    return {
        (each.labels["alertname"], each.labels.get("segment", ""))
        for each in messages
        if (each.to, each.status) == (to, status)
    }


def test_quiet_days_are_silent(story):
    assert about(story.quiet, "page") == set()
    product = {each for each in about(story.quiet, "ticket") if not each[0].startswith("Drift")}
    assert product == set()


def test_the_watchdog_arrives_all_the_time(story):
    for act in (story.quiet, story.trouble, story.recovery):
        assert ("DriftWatchdog", "") in about(act, "deadman")


def test_drift_with_harm_is_a_page_of_its_segment(story):
    pages = about(story.trouble, "page")
    assert {(PAGE, "mobile"), (PAGE, "all")} <= pages
    assert not {segment for _, segment in pages} & {"web", "partner"}


def test_drift_alone_is_a_ticket(story):
    assert (DRIFT, "web") in about(story.trouble, "ticket")
    assert (DRIFT, "web") in story.firing and (PAGE, "web") not in story.firing


def test_the_page_holds_back_the_tickets_of_its_segment_and_no_other(story):
    assert {(DRIFT, "mobile"), ("SearchOutcomeDegraded", "mobile")} <= story.held
    assert (DRIFT, "web") not in story.held
    assert not {segment for _, segment in story.held} & {"web", "partner"}


def test_recovery_resolves_page_and_ticket(story):
    assert {(PAGE, "mobile"), (PAGE, "all")} <= about(story.recovery, "page", "resolved")
    assert (DRIFT, "web") in about(story.recovery, "ticket", "resolved")


def test_no_held_back_ticket_comes_out_after_the_page(story):
    resolved = [
        place
        for place, each in enumerate(story.recovery)
        if (each.labels["alertname"], each.labels.get("segment"), each.status) == (PAGE, "mobile", "resolved")
    ]
    assert (DRIFT, "mobile") not in about(story.recovery[resolved[0] :], "ticket")
