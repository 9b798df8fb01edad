"""Signals, forks, exits and what is left behind, of processes that serve a data set of Python's."""

import os
import re
import signal
import subprocess
import sys
import textwrap

import own_data
import pytest
from conftest import PATIENCE_SECONDS, Program, until
from own_data import NAMED, Drawings
from test_process import runs

import mixfeed

ASKED = {"custom_augmentation": "drawings:2"}

SERVE = """
    import signal, sys
    # Whoever runs the tests in the background has it ignored, which is handed down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, sys.argv[1])
    import mixfeed, own_data
    mixfeed.serve(own_data.Drawings(), own_data.flip_and_shift, name="drawings", version=2, listen="127.0.0.1:0")
    print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_ends_serve(number):
    program = Program(SERVE, os.path.dirname(__file__))
    address, said = listening(program)
    assert "INFO" in said[0]
    stream = mixfeed.Stream(address, batch_size=10, tuning={"window_batches": 2}, **ASKED)
    next(stream)  # In the middle of a stream.
    program.process.send_signal(number)
    code, stdout, stderr = program.end()
    assert (code, stdout) == (0, "ended\n"), stderr
    assert "draining; a second signal ends at once" in stderr
    stream.close()


def test_a_second_signal_ends_serve_at_once():
    program = Program(SERVE.replace('"127.0.0.1:0"', '"127.0.0.1:0", grace="10m"'), os.path.dirname(__file__))
    address, said = listening(program)
    stream = mixfeed.Stream(address, batch_size=10, tuning={"window_batches": 2}, **ASKED)
    next(stream)
    program.process.send_signal(signal.SIGTERM)
    for line in program.process.stderr:
        if "draining" in line:
            break
    program.process.send_signal(signal.SIGINT)
    assert program.end()[0] == 130
    stream.close()


def listening(program):
    """Where it listens, and what it said before."""
    assert program.process.stderr is not None
    said = []
    for line in program.process.stderr:
        said.append(line)
        found = re.search("listening address=(.*)", line)
        if found:
            return found[1], said
    pytest.fail(f"it does not listen: {said}")


IN_MAIN = """
    import numpy, sys, mixfeed

    class Own:
        def __len__(self):
            return 30
        def __getitem__(self, index):
            return numpy.full((4, 4, 3), index, numpy.uint8), 0

    def lighter(image, generator):
        return image + numpy.uint8(generator.integers(0, 9))

    def main():
        with mixfeed.local(Own(), processes=2, transform=lighter) as loaders:
            with mixfeed.Stream(loaders, batch_size=10, epochs=1, custom_augmentation=loaders.custom_augmentation) as stream:
                print(stream.info.dataset, sum(len(batch) for batch in stream))

    {call}
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_a_program_serves_its_own_classes(guarded, tmp_path):
    path = tmp_path / "program.py"
    call = "if __name__ == '__main__': main()" if guarded else "main()"
    path.write_text(textwrap.dedent(IN_MAIN).format(call=call))
    done = subprocess.run([sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS)
    if guarded:
        assert done.stdout == "own 30\n", done.stderr
    else:
        assert 'put what starts them below if __name__ == "__main__":' in done.stderr


IN_SILENCE = """
    import logging, mixfeed

    logging.disable(logging.CRITICAL)  # In the processes that import this program, too.

    class Own:
        def __len__(self): return 30
        def __getitem__(self, index):
            import numpy
            return numpy.full((4, 4, 3), index, numpy.uint8), index % 2

    def main():
        for data, flags in [(Own(), {"name": "own", "version": 1}), ("synthetic:100", {"workers": 1, "log": "off"})]:
            with mixfeed.local(data, processes=1, **flags) as loaders:
                print(len(loaders.addresses))
        try:
            mixfeed.local("synthetic:0", processes=1, log="off")
        except mixfeed.LoaderStartError as error:
            print(error)

    if __name__ == "__main__":
        main()
"""


def test_loaders_are_found_though_nothing_is_logged(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(IN_SILENCE))
    done = subprocess.run([sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS)
    first, second, error = done.stdout.splitlines()
    assert (first, second) == ("1", "1"), done.stderr
    assert "before it listened" in error


LOCAL = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import mixfeed, own_data
    loaders = mixfeed.local(own_data.Drawings(), processes=2)
    print(*loaders.pids, flush=True)
    input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: linux: /proc is read")
def test_processes_end_with_the_one_that_was_killed():
    program = Program(LOCAL, os.path.dirname(__file__))
    pids = [int(pid) for pid in program.line().split()]
    assert len(pids) == 2 and all(map(runs, pids))
    program.process.kill()
    program.process.wait()
    until(lambda: not any(map(runs, pids)), "the loaders have ended")


FORK = """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    import mixfeed, own_data
    loaders = mixfeed.serving(own_data.Drawings(), own_data.flip_and_shift)
    child = os.fork()
    if child == 0:
        assert loaders.closed
        loaders.close()
        del loaders
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with mixfeed.Stream(loaders, batch_size=10, epochs=2, custom_augmentation="drawings:1") as stream:
        next(stream)
    print("served")  # And nobody closes it.
"""


def test_a_fork_leaves_the_loader_alone_and_the_interpreter_ends_with_one_open():
    assert Program(FORK, os.path.dirname(__file__)).succeed() == "served\n"


def test_a_loader_that_nobody_has_any_more_ends(caplog):
    loaders = mixfeed.serving(Drawings(), own_data.flip_and_shift, **NAMED)
    address = loaders.addresses[0]
    thread = loaders._thread
    del loaders
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    with pytest.raises(mixfeed.NoLoaderError):
        mixfeed.Stream(address, loader_timeout="0.1s")
