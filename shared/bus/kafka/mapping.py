"""aiokafka's exceptions to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka_errors

from shared.errors import BusError, BusUnavailableError, MessageTooLargeError, StaleAssignmentError
from shared.redaction import redact

_TOO_LARGE = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.RecordTooLargeError,
)
_STALE = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.IllegalStateError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)
_FORBIDDEN = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.AuthenticationMethodNotSupported,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.DelegationTokenAuthDisabled,
    kafka_errors.DelegationTokenAuthorizationFailed,
    kafka_errors.DelegationTokenExpired,
    kafka_errors.DelegationTokenNotFound,
    kafka_errors.DelegationTokenOwnerMismatch,
    kafka_errors.DelegationTokenRequestNotAllowed,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.InvalidPrincipalType,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.SecurityDisabled,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
    kafka_errors.UnsupportedSaslMechanismError,
)
_REFUSED = (
    kafka_errors.IllegalArgumentError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InconsistentGroupProtocolError,
    kafka_errors.InvalidCommitOffsetSizeError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationAssignmentError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidRequestError,
    kafka_errors.InvalidRequiredAcksError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InvalidTimestampError,
    kafka_errors.InvalidTopicError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.OffsetMetadataTooLargeError,
    kafka_errors.PolicyViolationError,
    kafka_errors.TopicAlreadyExistsError,
    kafka_errors.UnrecognizedBrokerVersion,
    kafka_errors.UnsupportedCodecError,
    kafka_errors.UnsupportedForMessageFormatError,
    kafka_errors.UnsupportedVersionError,
)
# aiokafka raises these two beside its tree, where a producer or consumer is used after its end.
FAILURES = (
    kafka_errors.KafkaError,
    kafka_errors.ConsumerStoppedError,
    kafka_errors.IllegalOperation,
    OSError,
    TimeoutError,
)


def map_error(error: BaseException, address: str) -> BusError:
    """Return our error for one of aiokafka's: whatever may pass by itself is a `BusUnavailableError`."""
    text = redact(f"{type(error).__name__}: {error}")
    if isinstance(error, _TOO_LARGE):
        return MessageTooLargeError(
            f"Kafka at {address} refused a message as too large",
            "Send smaller pictures, or raise max.message.bytes of the topic.",
        )
    if isinstance(error, _STALE):
        return StaleAssignmentError(f"the group's partitions went to another member ({text})")
    if isinstance(error, _FORBIDDEN):
        return BusError(f"Kafka at {address} refuses the login or the right ({text})", "Correct its access lists.")
    if isinstance(error, _REFUSED):
        return BusError(f"Kafka at {address} refused a request ({text})", "Use Kafka 3 or newer; see its log.")
    return BusUnavailableError(
        f"Kafka at {address} does not answer ({text})", "Start it with `linewarden dev up`, or correct bus.url."
    )


@contextmanager
def mapped(address: str) -> Iterator[None]:
    """Raise our errors in the place of aiokafka's."""
    try:
        yield
    except FAILURES as error:
        raise map_error(error, address) from error
