"""What may go wrong with a stream, each with the text that the programs print.

A loader that is lost, late or wrong is no error: the stream goes on with the others. These end it.
"""


class Error(Exception):
    """Anything that ends a stream."""


class SettingsError(Error, ValueError):
    """The keywords make no sense. Nothing was asked of a loader."""


class NoLoaderError(Error, ConnectionError):
    """No loader delivered anything within `loader_timeout`. Trying again later may help."""


class RefusedError(Error):
    """The loaders do not accept the stream."""


class MismatchError(Error):
    """The data or the algorithm is not what it has to be: that of the run, or of the state that was loaded."""


class DataLossError(Error):
    """A batch cannot be made because a record is damaged."""

    index: int
    """The batch."""


class DataChangedError(DataLossError):
    """A batch cannot be made because no loader has the data any more that it started with."""


class ContradictionError(Error):
    """Loaders contradict each other about a batch, and the stream was to end then (`audit_policy="stop"`)."""


class ClosedError(Error):
    """The stream was closed."""


class ForkError(Error, RuntimeError):
    """The stream was opened in another process, of which this one is a fork."""


class LoaderStartError(Error, RuntimeError):
    """A loader of this machine did not start."""
