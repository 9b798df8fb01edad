"""`python -m mixfeed.doctor`: a line for each thing, and what to do about one that lacks."""

import os
import subprocess
import sys

from conftest import LOADER, NOBODY

import mixfeed


def doctor(*addresses, **environment):
    command = [sys.executable, "-m", "mixfeed.doctor", *addresses]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout.splitlines()


def test_all_is_found_where_all_is_there():
    code, lines = doctor()
    assert code == 0, lines
    assert lines[0].startswith(f"ok      package: mixfeed {mixfeed.__version__}, Python 3.")
    assert lines[1].startswith(f"ok      loader: {LOADER}, mixfeed-loader {mixfeed.__version__}")
    assert lines[2].startswith("ok      batch: 32 images of 32x32x3 of synthetic within ")
    assert [line.split(":")[0].split()[1] for line in lines[3:]] == ["numpy", "torch"]


def test_what_lacks_fails_with_what_to_do_and_the_rest_is_looked_at(tmp_path):
    broken = tmp_path / "numpy.py"
    broken.write_text("raise ImportError('built for another machine')")
    code, lines = doctor(MIXFEED_LOADER=str(tmp_path / "none"), PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert code == 1
    assert lines[1].startswith("FAILED  loader: ") and lines[1].endswith("or name the program in MIXFEED_LOADER")
    assert lines[2].startswith(f"FAILED  batch: cannot start {tmp_path}/none") and "by hand" in lines[2]
    assert lines[3] == "without numpy: built for another machine; numpy.from_dlpack needs it"


def test_loaders_elsewhere_are_asked_each_by_itself(loaders):
    from mixfeed import doctor

    assert doctor.main(list(loaders.addresses)) == 0
    doctor._TIMEOUT, timeout = "300ms", doctor._TIMEOUT
    try:
        assert doctor.main([loaders.addresses[0], NOBODY]) == 1
    finally:
        doctor._TIMEOUT = timeout
