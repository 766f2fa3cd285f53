"""One tree of errors; each names the thing that is wrong and the remedy.

LinewardenError
├── ConfigError              a setting, a command-line value or a folder that cannot be used as given
│   └── DataError            a data folder without what the command needs
├── BusError
│   ├── BusUnavailableError  the broker cannot be reached, or stopped answering
│   ├── MessageTooLargeError one message is larger than the bus takes
│   └── StaleAssignmentError a commit for partitions that were handed to another consumer
├── StoreError
│   ├── StoreUnavailableError
│   ├── ChainMovedError      somebody else put a record behind the one that was the newest
│   ├── LeaseLostError       another process has the line's gate, or the store was emptied
│   └── ReviewFullError      a line's review holds as many cases as it may
├── WireError                bytes that are not a message
│   └── UnsupportedVersionError  a message of a newer major version
├── SourceError              a camera or picture source failed
│   └── SourceUnavailableError   ... and can be tried again
├── PictureError             one picture cannot be decoded
├── ModelError
│   ├── ModelMissingError    the artifact or a weight file is not there
│   ├── ModelCorruptError    the artifact does not match its checksums or format
│   └── EngineError          an engine cannot run the model, or gave what is no answer
├── SignalError              the outside (PLC, digital output) did not take a signal
│   ├── SignalUnreachableError
│   └── SignalTimeoutError   no answer in time: the write may still land
└── ServerError              a server of the development set-up cannot be started
"""

from __future__ import annotations

from enum import StrEnum


class LinewardenError(Exception):
    """An error with a remedy.

    `problem` names the thing and what is wrong with it; `remedy` says what to do. `str()` joins both in one line.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        text = self.problem if not self.remedy else f"{self.problem.rstrip('.')}. {self.remedy}"
        return " ".join(text.split())


class ConfigError(LinewardenError):
    """A setting or a command-line value cannot be used as given."""


class DataError(ConfigError):
    """A data folder lacks what the command needs."""


class BusError(LinewardenError):
    """The message bus failed."""


class BusUnavailableError(BusError):
    """The broker cannot be reached, or stopped answering."""


class MessageTooLargeError(BusError):
    """One message is larger than the bus takes."""


class StaleAssignmentError(BusError):
    """A commit for partitions that were handed to another consumer meanwhile."""


class StoreError(LinewardenError):
    """The live store failed."""


class StoreUnavailableError(StoreError):
    """The live store cannot be reached, or stopped answering."""


class ChainMovedError(StoreError):
    """Another record stands at the end of a line's chain than the one that was to be followed."""


class LeaseLostError(StoreError):
    """The token of this process is not the one that the store holds for the line: what it asked for was not done."""


class ReviewFullError(StoreError):
    """A line's review holds as many cases as it may, and another one was to be added."""


class WireError(LinewardenError):
    """Bytes that are not a message of ours."""


class UnsupportedVersionError(WireError):
    """A message of a newer major version than this reader knows."""


class SourceError(LinewardenError):
    """A camera or another picture source failed."""


class LossCause(StrEnum):
    """Why a camera is away, as far as can be told."""

    UNREACHABLE = "unreachable"
    LOGIN = "login_refused"
    HELD = "held_by_another"
    ENDED = "ended"
    STALLED = "stalled"
    UNREADABLE = "unreadable"
    REFUSED = "refused"


class SourceUnavailableError(SourceError):
    """A source is away and may come back."""

    def __init__(self, problem: str, remedy: str = "", *, cause: LossCause = LossCause.UNREACHABLE) -> None:
        super().__init__(problem, remedy)
        self.cause = cause


class PictureError(LinewardenError):
    """One picture cannot be decoded."""


class ModelError(LinewardenError):
    """A model cannot be used."""


class ModelMissingError(ModelError):
    """The model artifact or a weight file is not there."""


class ModelCorruptError(ModelError):
    """The model artifact does not match its checksums or its format."""


class EngineError(ModelError):
    """An engine is not there, was not exported for this model, failed its gate, or gave what is no answer."""


class SignalError(LinewardenError):
    """The outside did not take a signal."""


class SignalUnreachableError(SignalError):
    """The device cannot be reached; nothing was written."""


class SignalTimeoutError(SignalError):
    """No answer in time: whether the write landed, or will land, is unknown."""


class ServerError(LinewardenError):
    """A server of the development set-up cannot be started."""
