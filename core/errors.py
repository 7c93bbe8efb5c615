"""The one tree of errors.

Must not know any other module of the project. Called by everybody who refuses or fails.

    SeamarkError
    |-- Recoverable            retried, bounded and jittered, by the edge that owns the resource
    |   |-- VenueError         their side: an answer that breaks the protocol, or an error text
    |   `-- LinkLost           the socket or the request died; what was in flight is unknown
    `-- Fatal                  stop taking risk, leave protection in place, exit with `exit_code`
        |-- UsageError         64  the command line
        |-- DataError          65  a lake file, a tape or a message that cannot be trusted
        |-- ModelError         65  an artifact that is missing, altered or does not fit
        |-- VenueUnavailable   69  the exchange cannot be reached at all
        |-- InternalError      70  our own invariant is broken
        |-- JournalError       74  the journal cannot be written, read or verified
        |-- TemporaryError     75  try again later (a second daemon holds the state directory)
        |-- NotPermitted       77  a key without, or with too many, rights
        `-- ConfigError        78  configuration that is unknown, misspelt or out of range

Exit codes follow sysexits.h; 3 is ours and means "stopped by a risk halt".
"""

EXIT_RISK_HALT = 3


class SeamarkError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_code = 70


class Recoverable(SeamarkError):
    """The owner of the resource may try again."""

    exit_code = 75


class VenueError(Recoverable):
    """The venue answered something that its protocol does not allow, or an error text."""

    exit_code = 76


class LinkLost(Recoverable):
    """A connection ended; requests without an answer have an unknown outcome."""

    exit_code = 69


class Fatal(SeamarkError):
    """Going on would mean trading on half a state."""


class UsageError(Fatal):
    """The command line asks for something that does not exist."""

    exit_code = 64


class DataError(Fatal):
    """Input data cannot be trusted: the message names file, row and rule."""

    exit_code = 65


class ModelError(Fatal):
    """A model artifact is missing, altered, or does not fit the features."""

    exit_code = 65


class VenueUnavailable(Fatal):
    """The exchange cannot be reached."""

    exit_code = 69


class InternalError(Fatal):
    """An invariant of our own is broken."""

    exit_code = 70


class JournalError(Fatal):
    """The journal cannot be written, read or verified."""

    exit_code = 74


class TemporaryError(Fatal):
    """Something else holds what we need; a restart later may succeed."""

    exit_code = 75


class NotPermitted(Fatal):
    """Credentials or rights do not allow it."""

    exit_code = 77


class ConfigError(Fatal):
    """Configuration is unknown, misspelt or out of range."""

    exit_code = 78
