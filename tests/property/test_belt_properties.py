"""What holds for any speed profile, and any encoder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.speed import Ramp, SpeedProfile, changing, steady
from shared.clock import NS_PER_MS, NS_PER_S

speeds = st.floats(-100, 1_500)
ramps = st.lists(st.builds(Ramp, st.floats(0.01, 5), speeds, speeds), min_size=1, max_size=6)
times_ns = st.integers(0, 60 * NS_PER_S)


@given(ramps, times_ns, st.floats(0.1, 2_000))
def test_the_first_arrival_is_the_first(profile_ramps: list[Ramp], after_ns: int, ahead_mm: float) -> None:
    """At the time found the belt is there, and at no time before it since it was asked."""
    profile = SpeedProfile(profile_ramps)
    target_mm = profile.position_mm(after_ns) + ahead_mm
    found_ns = profile.first_ns(target_mm, after_ns)
    if found_ns is None:
        return
    assert profile.position_mm(found_ns) >= target_mm - 1e-3
    for step in range(40):
        earlier_ns = after_ns + (found_ns - after_ns) * step // 40
        assert profile.position_mm(earlier_ns) < target_mm + 1e-3


@given(ramps, times_ns, st.integers(1, 1_000))
def test_no_belt_is_faster_than_its_top_speed(profile_ramps: list[Ramp], at_ns: int, for_ms: int) -> None:
    """Nothing arrives sooner than the top speed would bring it: deadlines by time rest on that."""
    profile = SpeedProfile(profile_ramps)
    moved_mm = profile.position_mm(at_ns + for_ms * NS_PER_MS) - profile.position_mm(at_ns)
    assert moved_mm <= max(0.0, profile.top_mm_s) * for_ms / 1_000 + 1e-6


@given(st.integers(0, 2**16))
def test_a_changing_belt_keeps_within_its_bounds(seed: int) -> None:
    """It stops and runs back a little, is never faster than asked, and gets on."""
    profile = changing(seed, legs=32)
    seen = [profile.speed_mm_s(at_ns) for at_ns in range(0, 120 * NS_PER_S, NS_PER_S // 20)]
    assert max(seen) <= 1_500
    assert min(seen) >= -50
    assert 0.0 in seen
    assert profile.mean_mm_s > 200


@given(
    st.builds(Encoder, st.floats(1, 50), st.floats(0, 3), st.floats(0, 3), seed=st.integers(0, 99)),
    st.floats(-500, 5_000),
)
def test_a_counter_is_off_by_no_more_than_its_edges(encoder: Encoder, position_mm: float) -> None:
    """The counter shows the position within the edges' error and one count."""
    off = position_mm * encoder.counts_per_mm - encoder.counts_at(position_mm)
    bound = encoder.jitter_counts + encoder.eccentricity_counts
    assert -bound - 1e-3 <= off <= 1 + bound + 1e-3


@given(
    st.builds(Encoder, st.just(10.0), st.floats(0, 3), st.floats(0, 3), seed=st.integers(0, 99)),
    st.integers(-999, 99_999),
)
def test_an_edge_is_where_the_counter_first_shows_it(encoder: Encoder, count: int) -> None:
    """At the edge the counter shows its count or more, and just before it less."""
    edge_mm = encoder.edge_mm(count)
    assert encoder.counts_at(edge_mm) >= count
    assert encoder.counts_at(edge_mm - 1e-5) < count


def test_a_steady_belt_is_exact() -> None:
    """At 1 m/s a belt is after one second where it should be, to the count."""
    profile, encoder = steady(1_000.0), Encoder()
    assert encoder.counts_at(profile.position_mm(NS_PER_S)) == 10_000
    assert encoder.counts_at(profile.position_mm(NS_PER_S - NS_PER_MS)) == 9_990
    assert profile.first_ns(1_000.0, 0) == NS_PER_S
