"""Streams of training batches from any number of mixfeed loaders: the same bytes, whichever of them fail.

    import mixfeed

    with mixfeed.local("photos/", workers=8) as loaders:  # or addresses of loaders elsewhere
        with mixfeed.Stream(loaders, batch_size=128, mixup_alpha=0.2, mixup_prob=0.2, epochs=3) as stream:
            for batch in stream:
                numpy.from_dlpack(batch.images)

`mixfeed.serve(dataset, transform)` makes a loader of a data set of Python's, and `mixfeed.local(dataset, transform=…)` starts some.
`mixfeed.torch.Loader` stands in place of a DataLoader, and `mixfeed.v1` has the messages of the protocol, for a client
of one's own (that one needs grpcio). Neither is imported before it is asked for.
"""

import atexit as _atexit

from mixfeed._local import LocalLoader, local
from mixfeed._native import Array, Batch, Info, Stream, __version__, close_all
from mixfeed._serving import Server, seeded, serve, serving
from mixfeed.errors import (
    ClosedError,
    ContradictionError,
    DataChangedError,
    DataLossError,
    Error,
    ForkError,
    LoaderStartError,
    MismatchError,
    NoLoaderError,
    RefusedError,
    SettingsError,
)

__all__ = [
    "Array",
    "Batch",
    "ClosedError",
    "ContradictionError",
    "DataChangedError",
    "DataLossError",
    "Error",
    "ForkError",
    "Info",
    "LoaderStartError",
    "LocalLoader",
    "MismatchError",
    "NoLoaderError",
    "RefusedError",
    "Server",
    "SettingsError",
    "Stream",
    "__version__",
    "local",
    "seeded",
    "serve",
    "serving",
]

# A thread that waits for a batch must not come back to an interpreter that is gone.
_atexit.register(close_all)
