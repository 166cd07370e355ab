"""The Executor seam: workers that share nothing with this process, and a Dask cluster, leave the same bytes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from distributed import LocalCluster

from ground import work
from ground.mistake import Mistakes
from inventory import render
from ip_plan.compile import compile_plan
from ip_plan.network import load


def contents(folder: Path) -> dict[str, bytes]:
    """Path → content, but for what says which run wrote it."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("parts.json", ".lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    state = tmp_path_factory.mktemp("here")
    stored = compile_plan("pilot", state).network
    render.write(state / "build", load(stored, ()), lab=True, stored=stored)
    return contents(state)


def test_workers_that_know_nothing_give_the_same(tmp_path: Path, here: dict[str, bytes]) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        compile_plan("pilot", tmp_path, executor=executor)
    assert contents(tmp_path) == {path: data for path, data in here.items() if not path.startswith("build/")}


def test_a_dask_cluster_gives_the_same(tmp_path: Path, here: dict[str, bytes]) -> None:
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": ""}
    with (
        LocalCluster(**options) as dask,  # type: ignore[no-untyped-call]
        work.cluster(dask.scheduler_address) as executor,
    ):
        stored = compile_plan("pilot", tmp_path, executor=executor).network
        render.write(tmp_path / "build", load(stored, ()), lab=True, stored=stored, executor=executor)
    assert contents(tmp_path) == here


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(Mistakes) as caught, work.cluster("tcp://127.0.0.1:9"):
        pass
    assert [(m.code, m.object) for m in caught.value.found] == [("JB2005", "tcp://127.0.0.1:9")]
