"""A registry that is slow, stalls, or is not there."""
import pytest
from scene import TTL


@pytest.mark.parametrize("kind, seconds", [
    ("etcd leader killed", 2), ("etcd quorum lost", 3 * TTL), ("etcd paused", TTL / 2),
    ("etcd paused", 3 * TTL)])
def test_no_unit_is_touched_while_the_registry_is_away(scene, kind, seconds):
    before = scene.runs()
    scene.break_it(kind, seconds=seconds)
    scene.settle()
    assert scene.runs() == before


def stall(scene, which):
    """Pauses the member that leads, or one that does not, for longer than a TTL."""
    members = scene.world.members()
    index = next(i for i, member in enumerate(members) if member.leads() == (which == "leads"))
    scene.break_it("etcd member paused", seconds=2 * TTL, draw=index)
    scene.settle()


def test_a_member_that_stalls_harms_nobody(scene):
    """Whoever asks it notices, and asks another before a lease ends."""
    before = scene.runs()
    stall(scene, "follows")
    assert scene.runs() == before


def test_a_leading_member_that_stalls_breaks_no_promise(scene):
    """etcd itself may then end leases that were kept; their machines are lost for a moment."""
    stall(scene, "leads")
