"""What all lines share in the store, and the notes of how it changed."""

from __future__ import annotations

from tests.stores import STREAM_LENGTH, AnyStore, Rig


async def test_what_is_kept_changes_only_from_what_was_read(rig: Rig) -> None:
    """Of two that change the same value one succeeds; the other reads again."""
    assert await rig.store.kept("plan") is None
    assert await rig.store.keep("plan", b"one", instead_of=None)
    assert not await rig.other.keep("plan", b"two", instead_of=None)
    assert not await rig.other.keep("plan", b"two", instead_of=b"zero")
    assert await rig.other.keep("plan", b"\x00two", instead_of=b"one")
    assert (await rig.store.kept("plan"), await rig.store.kept("other")) == (b"\x00two", None)


async def test_what_is_noted_stays(rig: Rig) -> None:
    """Each value that was kept and noted is found again, newest first; one that was refused is not noted."""
    assert await rig.store.notes("policy", newest=10) == []
    assert await rig.store.keep("policy", b"\x00one", instead_of=None, noted=True)
    assert not await rig.other.keep("policy", b"lost", instead_of=None, noted=True)
    assert await rig.other.keep("policy", b"quiet", instead_of=b"\x00one")
    assert await rig.other.keep("policy", b"two", instead_of=b"quiet", noted=True)
    assert await rig.store.notes("policy", newest=10) == [b"two", b"\x00one"]
    assert await rig.store.notes("policy", newest=1) == [b"two"]
    assert await rig.store.notes("other", newest=10) == []


async def test_notes_are_trimmed(store: AnyStore) -> None:
    """About as many are kept as configured, and always the newest."""
    before: bytes | None = None
    for number in range(4 * STREAM_LENGTH):
        value = str(number).encode()
        assert await store.keep("policy", value, instead_of=before, noted=True)
        before = value
    notes = await store.notes("policy", newest=1_000)
    assert STREAM_LENGTH <= len(notes) <= 2 * STREAM_LENGTH
    assert notes[0] == before
