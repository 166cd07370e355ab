"""What holds for every test: nothing is skipped, a folder's labs run one after the other, the long ones run when they are asked for."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

# Folders whose tests bring up machines: one worker does all of a folder, so that they share a lab or take turns.
LABS = {"backup", "full", "pilot", "playbooks", "stacks", "twin"}

# bench/ is run by `./run bench`; full/ by `./run test --full`.
collect_ignore = ["bench"] + ([] if os.environ.get("JINBAO_FULL") == "1" else ["full"])


@pytest.hookimpl(tryfirst=True)  # before the workers read the groups
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in LABS:
            item.add_marker(pytest.mark.xdist_group(folder))


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
