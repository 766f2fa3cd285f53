import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.redaction import redact, redact_address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:secret@cam:554/stream", "rtsp://***@cam:554/stream"),
        ("rtsp://admin:p@ss@cam/stream", "rtsp://***@cam/stream"),
        ("rtsp://admin:pa/ss@cam/stream", "rtsp://***@cam/stream"),
        ("RTSPS://u:s?#%40cret@cam", "RTSPS://***@cam"),
        ("redis://:secret@host:6379/0", "redis://***@host:6379/0"),
        ("a://u:secret@h1,b://u:secret@h2", "a://***@h1,b://***@h2"),
        ("cannot open 'rtsp://u:secret@cam/1': timeout", "cannot open 'rtsp://***@cam/1': timeout"),
        ("http://cam/snap?user=u&password=secret&x=1", "http://cam/snap?user=u&password=***&x=1"),
        ("http://cam/snap?api_key=secret", "http://cam/snap?api_key=***"),
        ("http://cam/snap?Access-Token=secret#top", "http://cam/snap?Access-Token=***#top"),
        ("rtsp://cam/live?user=u&pass=secret", "rtsp://cam/live?user=u&pass=***"),
        ("rtsp://cam/live?psw=secret", "rtsp://cam/live?psw=***"),
        ("rtsp://cam/user=u_password=secret_channel=1_stream=0.sdp", "rtsp://cam/user=u_password=***"),
    ],
)
def test_passwords_in_addresses_are_hidden(text: str, shown: str) -> None:
    """What is needed to find the device stays, what is needed to log in goes."""
    assert redact(text) == shown
    assert "secret" not in redact(text)


@pytest.mark.parametrize("text", ["modbus://10.0.0.1:502", "kafka://a:9092,b:9092", "mail me@home.org", "a // b @ c"])
def test_text_without_secrets_stays(text: str) -> None:
    """Addresses without a user part are left alone, and so is an @ elsewhere."""
    assert redact(text) == text


@given(st.text() | st.from_regex(r"([a-z]+://)?[^\s]{0,10}@?[a-z]*([?&](token|x)=[^&]*)?", fullmatch=True))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What was redacted is clean."""
    assert redact(redact(text)) == redact(text)


@given(st.text().filter(lambda text: "://" not in text and "=" not in text))
def test_text_without_addresses_is_left_alone(text: str) -> None:
    """Only addresses and query values are touched."""
    assert redact(text) == text


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'<>"), min_size=1)


@given(secrets.filter(lambda secret: "://" not in secret), st.sampled_from(["rtsp", "redis", "kafka", "modbus"]))
def test_any_password_is_hidden(secret: str, scheme: str) -> None:
    """Whatever characters it is made of, short of quotes and blanks."""
    assert redact(f"lost {scheme}://user:{secret}@host now") == f"lost {scheme}://***@host now"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://u:s3c ret@127.0.0.1:1/0", "redis://***@127.0.0.1:1/0"),
        ("u:s3cret@127.0.0.1:1/0", "***@127.0.0.1:1/0"),
        ("rtsp://u:a@b/c'd@camera/line", "rtsp://***@camera/line"),
        ("kafka://broker:9092", "kafka://broker:9092"),
        ("rtsp://cam/live?user=u&any=s3cret", "rtsp://cam/live?***"),
        ("rtsp://cam:554/user=u_whatever=s3cret_channel=1.sdp", "rtsp://cam:554/user=***"),
        ("rtsp://u:p?s3cret@cam/live=s3cret", "rtsp://***@cam/live=***"),
        ("RTSPS://cam/live?a=s3cret@home", "RTSPS://***@home"),
        ("gentl://P.cti?id=5", "gentl://P.cti?id=5"),
    ],
)
def test_a_known_address_is_shown_without_its_user_part_however_it_is_written(address: str, shown: str) -> None:
    """Spaces, quotes, @ and / in a password, or a missing scheme, hide nothing of it from being cut out."""
    assert redact_address(address) == shown
