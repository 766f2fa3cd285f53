"""FFmpeg's errors as ours."""

from __future__ import annotations

from av import error as ffmpeg

from shared.errors import LossCause, SourceUnavailableError


def map_error(error: BaseException, address: str) -> SourceUnavailableError:
    """Return our error for one of FFmpeg's; `address` is without its login."""
    # Only what FFmpeg says is wrong: its whole message repeats the address, with the password.
    text = getattr(error, "strerror", None) or type(error).__name__
    match error:
        case ffmpeg.HTTPUnauthorizedError() | ffmpeg.HTTPForbiddenError():
            return SourceUnavailableError(
                f"camera {address} refuses the login", "Correct user and password.", cause=LossCause.LOGIN
            )
        case ffmpeg.HTTPNotFoundError():
            return SourceUnavailableError(f"camera {address} has no such stream", "Correct the path in its address.")
        case ffmpeg.HTTPClientError() | ffmpeg.HTTPServerError():
            return SourceUnavailableError(
                f"camera {address} refuses to play ({text})", "Is it watched by as many others as it serves?"
            )
        case (
            ffmpeg.InvalidDataError() | ffmpeg.LookupError() | ffmpeg.PatchWelcomeError() | ffmpeg.NotImplementedError()
        ):
            return unreadable(address, text)
        case ffmpeg.OSError() if address.startswith("rtsps://"):
            return SourceUnavailableError(
                f"camera {address} gives no secure connection ({text})",
                "Does it speak TLS? Give the authority of its certificate as rtsp.ca_file, or take any certificate by "
                "rtsp.verify_certificate = false.",
            )
        case _:
            return SourceUnavailableError(
                f"camera {address} does not answer ({text})", "Check its address and its network."
            )


def unreadable(address: str, text: str) -> SourceUnavailableError:
    """Return the error for a stream that gives no video that can be read."""
    return SourceUnavailableError(
        f"camera {address} sends no readable video ({text})",
        "Set it to H.264, H.265 or MJPEG.",
        cause=LossCause.UNREADABLE,
    )


def stalled(address: str) -> SourceUnavailableError:
    """Return the error for a stream that gives no picture though it is connected."""
    return SourceUnavailableError(
        f"camera {address} gave no picture for its stall_ms",
        "Is it, or the network to it, frozen? A slow camera needs a longer one.",
        cause=LossCause.STALLED,
    )
