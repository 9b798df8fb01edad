"""A loader process of a data set of Python's, as `mixfeed.local` starts it: `python -m mixfeed._worker JOB`.

The job is a file with what `multiprocessing` says to a process that it spawns, so that classes of the program itself are found,
and the pickled data set and transform. The process stops when its standard input ends.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import multiprocessing.spawn
import os
import pickle
import select
import signal
import sys
from typing import Any

from mixfeed import _native
from mixfeed._dataset import Given, Samples, in_a_line
from mixfeed._serving import LISTENING, Server
from mixfeed.errors import Error, SettingsError

ELSEWHERE = "define them in a file that can be imported, or use mixfeed.serving, which makes a loader of this process"
"""What to do about what other processes cannot have."""

_LEAVE_SECONDS = 10.0
"""How long it may take to end once its standard input has: streams have 2 s of it."""


def job(given: Given, found: Samples, flags: dict[str, object]) -> bytes:
    """The file that a worker is started with."""
    told: dict[str, Any] = multiprocessing.spawn.get_preparation_data("mixfeed-loader")
    told.pop("authkey", None)  # It does not let itself be written down, and nothing here needs it.
    # The data set by itself, for it is read when the program's modules can be imported.
    return pickle.dumps((told, pickle.dumps((given, found, flags))))


class _Lines(logging.Handler):
    """Log lines for the process that started this one."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(LISTENING):
            _tell(record.levelname, text)


def _tell(level: str, text: str, **fields: str) -> None:
    """Writes a log line as the loader's program has them, a JSON object. What must arrive is written by this alone, for the
    program that is imported here may silence all logging."""
    print(json.dumps({"level": level, "fields": {"message": text, **fields}}), file=sys.stderr, flush=True)


def main(path: str) -> int:
    """Serves until standard input ends; 1 where it cannot begin."""
    _native.end_after_stdin(_LEAVE_SECONDS)
    # Processes share the CPUs; each of them with threads of its own for one image would be slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    log = logging.getLogger("mixfeed")
    log.addHandler(_Lines())
    log.setLevel(logging.INFO)
    log.propagate = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open(path, "rb") as file:
            told, pickled = pickle.load(file)
        process = multiprocessing.current_process()
        process._inheriting = True  # type: ignore[attr-defined]  # As spawning has it: nobody starts processes meanwhile.
        try:
            multiprocessing.spawn.prepare(told)
            given, found, flags = pickle.loads(pickled)
        except (AttributeError, ImportError, FileNotFoundError) as error:
            raise SettingsError(f"other processes cannot have data set and transform ({in_a_line(error)}): {ELSEWHERE}") from error
        finally:
            del process._inheriting  # type: ignore[attr-defined]
        server = Server(given, flags, found=found)
    except Exception as error:
        _tell("ERROR", str(error) if isinstance(error, Error) else in_a_line(error))
        return 1
    made = {} if given.transform is None else {"transform": f"{server._tried:x}"}
    _tell("INFO", "listening", address=server.addresses[0], **made)
    with server:
        try:
            server.wait(_has_input)
        except KeyboardInterrupt:  # SIGTERM
            log.info("draining")
    return 0


def _has_input() -> bool:
    """Whether whoever started this process is there."""
    # Only its end can be read from a pipe that nobody writes to; another thread waits for that, too.
    return not select.select([0], [], [], 0)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
