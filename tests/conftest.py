"""What holds for every test: nothing is skipped, a folder's labs run one after the other, the long ones run when they are asked for."""

import os
import signal
from collections.abc import Generator

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

# Folders whose tests bring up machines: one worker does them all, one lab after the other.
LABS = {"backup", "full", "pilot", "playbooks", "stacks", "twin"}

# bench/ is run by `./run bench`; full/, and what is marked as long elsewhere, by `./run test --full`.
FULL = os.environ.get("JINBAO_FULL") == "1"
collect_ignore = ["bench"] + ([] if FULL else ["full"])

# Programs started in the background ignore Ctrl-C, and so does all that they start: tests that send it need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    long = [] if FULL else [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


class LabsTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """The labs are one unit of work; every other test is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.removeprefix("tests/").partition("/")[0]
        return "labs" if folder in LABS else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LabsTogether:
    """For `--numprocesses`: the marks that xdist has for this are lost in pytest 9.2."""
    return LabsTogether(config, log)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skipped report into a failed one: a check that did not run has shown nothing."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: tests are not skipped here ({reason})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report
