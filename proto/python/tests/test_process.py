"""Signals, forks, exits and what is left behind, each in a process of its own."""

import os
import signal
import sys
import tempfile
import threading
import time

import pytest
from conftest import LOADER, NOBODY, PATIENCE_SECONDS, Program, require, stopped, until

import mixfeed

linux = pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: linux: /proc is read")

CTRL_C_SECONDS = 0.2

WAITING = """
    import os, signal, sys, time, mixfeed
    # Whoever runs the tests in the background has it ignored, which is handed down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        {wait}
    except KeyboardInterrupt:
        print(time.monotonic())
"""

OPENING = f"print('waits', flush=True); mixfeed.Stream('{NOBODY}')"
READING = """stream = mixfeed.Stream(sys.argv[1], batch_size=10, tuning={'window_batches': 2, 'queue_batches': 1, 'hedge': False})
        for batch in stream:
            print('waits', flush=True)"""


def seconds_to_end(program):
    """How long after Ctrl-C a waiting program noticed it; both read the machine's one monotonic clock."""
    time.sleep(0.15)  # Into the middle of its wait; nothing fails when it is not.
    sent = time.monotonic()
    os.kill(program.process.pid, signal.SIGINT)
    return float(program.succeed().split()[-1]) - sent


def test_ctrl_c_ends_the_wait_for_a_loader_within_a_moment():
    times = []
    for _ in range(3):  # Of a busy machine, the best one tells.
        program = Program(WAITING.format(wait=OPENING))
        assert program.line() == "waits"
        times.append(seconds_to_end(program))
    assert min(times) < CTRL_C_SECONDS, times


@linux
def test_ctrl_c_ends_the_wait_for_a_batch_within_a_moment():
    times = []
    for _ in range(3):
        with mixfeed.local("synthetic:100", workers=1) as loaders:
            program = Program(WAITING.format(wait=READING), loaders.addresses[0])
            assert program.line() == "waits"
            with stopped(loaders.pids):
                times.append(seconds_to_end(program))
    assert min(times) < CTRL_C_SECONDS, times


FORK = """
    import gc, os, sys, mixfeed
    stream = mixfeed.Stream(sys.argv[1], batch_size=10)
    first = next(stream)
    child = os.fork()
    if child == 0:
        try:
            next(stream)
        except mixfeed.ForkError as error:
            assert str(os.getppid()) in str(error), error
            del stream
            gc.collect()
            own = mixfeed.Stream(sys.argv[1], batch_size=10)
            same = next(own).digest() == first.digest()
            own.close()
            sys.exit(7 if same else 8)
        sys.exit(9)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
    assert [next(stream).index for _ in range(300)] == list(range(1, 301))
"""


def test_a_fork_is_told_that_the_stream_is_not_its_own_and_opens_one(loaders):
    Program(FORK, loaders.addresses[0]).succeed()


SPAWN = """
    import multiprocessing, sys, tempfile, pathlib, os
    lines = [
        "import mixfeed",
        "def first(address, queue):",
        "    with mixfeed.Stream(address, batch_size=10) as stream:",
        "        queue.put(next(stream).digest())",
    ]
    module = chr(10).join(lines)
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "child_of_a_test.py").write_text(module)
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    import child_of_a_test, mixfeed
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with mixfeed.Stream(sys.argv[1], batch_size=10) as stream:
        child = context.Process(target=child_of_a_test.first, args=(sys.argv[1], queue))
        child.start()
        same = queue.get(timeout=60) == next(stream).digest()
        child.join()
    print(same, child.exitcode)
"""


def test_a_spawned_process_reads_a_stream_of_its_own(loaders):
    assert Program(SPAWN, loaders.addresses[0]).succeed() == "True 0\n"


READ_ONE = """
    import sys, threading, mixfeed
    stream = mixfeed.Stream(sys.argv[1], batch_size=10, tuning={'window_batches': 2, 'queue_batches': 1})
    next(stream)
"""


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise ValueError('of the loop')", 1, "ValueError: of the loop"),
        ("import os; os._exit(4)", 4, ""),
    ],
)
def test_an_exit_with_an_open_stream_does_not_hang(loaders, ending, code, said):
    ended, _, stderr = Program(READ_ONE + f"    {ending}\n", loaders.addresses[0]).end()
    assert ended == code
    assert stderr.strip().splitlines()[-1:] == ([said] if said else [])


BEHIND = """
    def read():
        while True:  # As hard to end as can be.
            try:
                with stream:
                    for batch in stream:
                        pass
            except mixfeed.ClosedError:
                pass
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    print('waits', flush=True)
    sys.stdin.read()
"""


@linux
@pytest.mark.parametrize("loader_hangs", [False, True])
def test_an_exit_while_another_thread_waits_for_a_batch_does_not_hang(loader_hangs):
    with mixfeed.local("synthetic:100", workers=1) as loaders:
        program = Program(READ_ONE + BEHIND.replace("sys.stdin.read()", "input()"), loaders.addresses[0])
        assert program.line()
        with stopped(loaders.pids if loader_hangs else []):
            time.sleep(0.3)  # Until it has read what there is; nothing fails when it has not.
            code, _, stderr = program.end()
    # The main thread ends by the end of its input; of the other one nothing is heard, or that its stream was closed.
    assert code == 1 and "EOFError: EOF when reading a line" in stderr, stderr
    assert "panicked" not in stderr and "Fatal" not in stderr, stderr


CLOSED = """
    import sys, threading, time, mixfeed
    stream = mixfeed.Stream(sys.argv[1], batch_size=10)
    ended = []
    def read():
        try:
            for batch in stream:
                pass
        except mixfeed.ClosedError as error:
            ended.append(error)
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    while stream.stats["batches"] < 50:
        time.sleep(0.01)
    stream.close()
    for thread in threads:
        thread.join()
    print(len(ended))
"""


def test_closing_ends_all_threads_that_read(loaders):
    assert Program(CLOSED, loaders.addresses[0]).succeed() == "3\n"


MANY = """
    import os, sys, time, mixfeed
    def held():
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
    def one(number):
        stream = mixfeed.Stream(sys.argv[1], batch_size=10, tuning={'window_batches': 4, 'quiet': True})
        if number % 2:
            next(stream)
        if number % 3:
            stream.close()
    for number in range(10):
        one(number)
    before = held()
    for number in range(1000):
        one(number)
    deadline = time.monotonic() + 30
    while held() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    print(before, held(), before == held())
"""


@linux
def test_a_thousand_streams_leave_threads_and_descriptors_as_they_were(loaders):
    said = Program(MANY, loaders.addresses[0]).succeed()
    assert said.endswith(" True\n"), said


HUNDRED_THOUSAND = """
    import sys, mixfeed
    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1])
    with mixfeed.Stream(sys.argv[1], batch_size=1, image_size=8) as stream:
        for number in range(100_000):
            batch = next(stream)
            if number == 10_000:
                before = resident()
    print(resident() / before)
"""


@linux
def test_a_hundred_thousand_batches_take_no_more_memory_than_the_first_ten_thousand(loaders):
    require("slow", os.environ.get("MIXFEED_SLOW"), "takes a minute; cargo xtask python --slow runs it")
    program = Program(HUNDRED_THOUSAND, loaders.addresses[0])
    assert float(program.succeed(600)) <= 1.02


LOCAL = """
    import os, sys, time, mixfeed
    loaders = mixfeed.local("synthetic:100", workers=1, processes=2)
    print(*loaders.pids, flush=True)
    child = os.fork() if {forks} else -1
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    input()
"""


def runs(pid):
    """Whether a process is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@linux
@pytest.mark.parametrize("forks", [False, True])
def test_local_loaders_end_with_the_process_that_was_killed(forks):
    program = Program(LOCAL.format(forks=forks))
    pids, child = [int(pid) for pid in program.line().split()], int(program.line())
    assert len(pids) == 2 and all(map(runs, pids))
    program.process.kill()
    program.process.wait()
    try:
        # A fork of it that lives on does not keep them.
        assert not forks or runs(child)
        until(lambda: not any(map(runs, pids)), "the loaders have ended")
    finally:
        if forks:
            os.kill(child, signal.SIGKILL)


@linux
def test_local_loaders_are_gone_when_they_are_closed():
    with mixfeed.local("synthetic:100", workers=1, processes=2) as loaders:
        pids, folders = loaders.pids, {address.rpartition("/")[0][len("unix://") :] for address in loaders.addresses}
        assert all(map(runs, pids)) and all(map(os.path.isdir, folders))
        # In the middle of a stream: it waits for nobody.
        stream = mixfeed.Stream(loaders, batch_size=10)
        next(stream)
        started = time.monotonic()
    assert not any(map(runs, pids)) and not any(map(os.path.exists, folders))
    assert time.monotonic() - started < PATIENCE_SECONDS
    stream.close()


def test_a_stream_that_is_being_opened_ends_when_its_local_loaders_are_closed():
    with mixfeed.local("synthetic:100", workers=1) as loaders:
        loaders.addresses[0] = NOBODY
        ended = []

        def read():
            try:
                mixfeed.Stream(loaders, loader_timeout="10m")
            except mixfeed.ClosedError as error:
                ended.append(str(error))

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.15)  # Into the middle of its wait; nothing fails when it is not.
    reader.join(PATIENCE_SECONDS)
    assert ended == ["the loaders of this machine were closed"]


def test_the_folders_of_processes_that_were_killed_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def folders():
        return sorted(tmp_path.glob("mixfeed-local-*"))

    killed = Program(LOCAL.format(forks=False))
    assert killed.line() and killed.line() and len(folders()) == 1
    left = folders()
    killed.process.kill()
    killed.process.wait()
    with mixfeed.local("synthetic:100", workers=1) as first:
        assert len(folders()) == 1 and folders() != left
        with mixfeed.local("synthetic:100", workers=1) as second:
            assert len(folders()) == 2, "whose process is there keeps its own"
            for loaders in (first, second):
                mixfeed.Stream(loaders, batch_size=10).close()
    assert folders() == []


def test_a_local_loader_that_does_not_start_says_why(tmp_path):
    with pytest.raises(mixfeed.LoaderStartError, match="before it listened.*nowhere"):
        mixfeed.local(tmp_path / "nowhere")
    for flags, said in (
        ({"colour": True}, "unexpected keyword 'colour' found"),
        ({"worker": 2}, "unexpected keyword 'worker' found; tip: a similar keyword exists: 'workers'"),
        ({"order": "size"}, "invalid value 'size' for 'order'; .possible values: path, name"),
        ({"workers": 0}, "workers 0 is not allowed, 1 to 1024"),
    ):
        with pytest.raises(mixfeed.LoaderStartError, match=f"before it listened: {said}") as raised:
            mixfeed.local("synthetic:100", **flags)
        assert "--" not in str(raised.value) and "\n" not in str(raised.value)


def test_an_older_loader_is_named_with_both_versions(tmp_path, monkeypatch):
    program = tmp_path / "mixfeed-loader"
    program.write_text(
        """#!/bin/sh
if [ "$1" = --version ]; then echo "mixfeed-loader 0.0.7 (abc)"; exit; fi
echo "error: unexpected argument '--stop-with-stdin' found" >&2
exit 2
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("MIXFEED_LOADER", str(program))
    said = f"mixfeed-loader is mixfeed-loader 0.0.7 .abc., and this package {mixfeed.__version__}: it does not know"
    with pytest.raises(mixfeed.LoaderStartError, match=said):
        mixfeed.local("synthetic:100")


def test_the_loaders_program_is_named_packaged_or_in_the_path(tmp_path, monkeypatch):
    from mixfeed import _local

    program = LOADER
    assert _local._program() == program
    monkeypatch.delenv("MIXFEED_LOADER", raising=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mixfeed-loader").symlink_to(program)
    monkeypatch.setattr(_local, "__file__", str(tmp_path / "_local.py"))
    assert _local._program() == str(tmp_path / "bin/mixfeed-loader")
    monkeypatch.setattr(_local, "__file__", str(tmp_path / "elsewhere/_local.py"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert _local._program() == str(tmp_path / "bin/mixfeed-loader")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(mixfeed.LoaderStartError, match="MIXFEED_LOADER"):
        _local._program()
