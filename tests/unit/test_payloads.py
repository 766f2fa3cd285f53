"""What the compression benchmark sends."""

from __future__ import annotations

import pytest

from deploy.stream.payloads import KINDS, Kind
from shared.wire import FrameMessage, VerdictMessage, decode


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_messages_are_the_lines_own(kind: Kind) -> None:
    """Each decodes as what it is, and no two are equal: equal ones would compress better than a line's do."""
    messages = kind.messages()
    assert len(set(messages)) == len(messages)
    for message in messages[:3]:
        if kind.encoding is None:
            decode(VerdictMessage, message)
        else:
            assert decode(FrameMessage, message)[0].encoding is kind.encoding
    if kind.name == "jpeg":
        assert 150_000 < sum(map(len, messages)) / len(messages) < 250_000
