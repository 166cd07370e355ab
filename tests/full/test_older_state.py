"""A state of the engine from before the last change, as when a copy was put back: what stands meanwhile is taken as it is."""

from __future__ import annotations

from stacks import workspace
from stacks.twin.place import Place
from stacks.workspace import Target
from tests.stacks.conftest import host
from tests.stacks.conftest import prepared as prepared
from tests.stacks.test_stacks import CENTRE, KEEPER, A, B, centre, changed, quiet, states
from tests.stacks.test_stacks import at as at
from tests.stacks.test_stacks import target as target


def test_what_an_older_state_does_not_know_is_not_made_twice(target: Target, at: Place) -> None:
    assert workspace.up(target, CENTRE, quiet).mistakes == ()
    (file,) = (target.folder / ".engine" / "state").rglob(f"stacks/**/{CENTRE.name}.json")
    old = file.read_text()
    grown = centre(A, B, KEEPER, host("n", role="firewall"))
    assert changed(workspace.up(target, grown, quiet)) == [("create", "Host", "n")]
    before = states(at)
    file.write_text(old)
    assert workspace.up(target, grown, quiet).mistakes == ()
    assert states(at) == before
    assert changed(workspace.drift(target, grown, quiet)) == []
    assert changed(workspace.up(target, CENTRE, quiet)) == [("delete", "Host", "n")]
    assert sorted(states(at)) == ["a", "b", "k"]
