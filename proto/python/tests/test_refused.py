"""What makes no sense is refused early, in one line that names the keyword and what it takes; and what failed says so again."""

import pathlib
import threading

import numpy
import pytest
from conftest import MIXUP, NOBODY, serving

import mixfeed

torch = pytest.importorskip("torch")

import mixfeed.torch  # noqa: E402

FLOAT = {"dtype": torch.float32}


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        # Keywords of streams.
        ({"batch_size": True}, mixfeed.SettingsError, "batch_size is True, it takes an int"),
        ({"batch_size": 64.0}, mixfeed.SettingsError, "batch_size is 64.0, it takes an int"),
        ({"batch_size": numpy.float32(64)}, mixfeed.SettingsError, "batch_size is .*64.0.*, it takes an int"),
        ({"batch_size": [64]}, mixfeed.SettingsError, "batch_size is .64., it takes an int"),
        ({"flip_prob": True}, mixfeed.SettingsError, "flip_prob is True, it takes a float"),
        ({"shuffle": 1}, mixfeed.SettingsError, "shuffle is 1, it takes True or False"),
        ({"split": 1}, mixfeed.SettingsError, "split is 1, it takes a str"),
        ({"color_jitter": {"hue": 1}}, mixfeed.SettingsError, "color_jitter is .*, it takes a float or a list of floats"),
        ({"tls_ca": 1}, mixfeed.SettingsError, "tls_ca is 1, it takes a path"),
        ({"loader_timeout": 2}, mixfeed.SettingsError, 'loader_timeout is 2, it takes a str: give a unit, as in "3s"'),
        # Those of a Loader.
        ({"mean": 0.4}, mixfeed.SettingsError, "mean and deviation have no effect on uint8"),
        ({"mean": float("inf"), **FLOAT}, mixfeed.SettingsError, "mean is inf, .* finite and 0 or more"),
        ({"deviation": 0, **FLOAT}, mixfeed.SettingsError, "deviation is 0, .* finite and above 0"),
        ({"deviation": [1, -1, 1], **FLOAT}, mixfeed.SettingsError, "deviation is .1, -1, 1., .* above 0"),
        ({"deviation": float("nan"), **FLOAT}, mixfeed.SettingsError, "deviation is nan, .* above 0"),
        ({"deviation": "half", **FLOAT}, mixfeed.SettingsError, "deviation is half, it must be one number"),
        ({"mean": [], **FLOAT}, mixfeed.SettingsError, "mean is .., it must be one number or one a channel"),
        ({"mean": [123.7, 116.3, 103.5], **FLOAT}, mixfeed.SettingsError, "mean is .*: pixels are in 0 to 1 here"),
        ({"dtype": "float32"}, mixfeed.SettingsError, "dtype is 'float32', it must be one of torch.uint8, torch.float32"),
        ({"dtype": torch.float8_e4m3fn}, mixfeed.SettingsError, "dtype is torch.float8_e4m3fn, it must be one of"),
        ({"dtype": torch.int64}, mixfeed.SettingsError, "dtype is torch.int64, it must be one of"),
        # Those of a DataLoader.
        ({"drop_last": True}, TypeError, 'drop_last is a DataLoader.s.*remainder="drop"'),
        ({"num_workers": 8}, TypeError, "num_workers is a DataLoader.s.*mixfeed.local"),
        ({"collate_fn": None}, TypeError, "collate_fn is a DataLoader.s"),
    ],
)
def test_a_setting_is_refused_with_what_it_takes(settings, error, text):
    with pytest.raises(error, match=text) as raised:
        mixfeed.torch.Loader(NOBODY, **settings)
    assert "\n" not in str(raised.value) and "--" not in str(raised.value)


def test_numbers_of_numpy_are_taken(loaders):
    numpys = {"batch_size": numpy.int64(50), "flip_prob": numpy.float64(0.5), "shuffle": numpy.bool_(False)}
    expected = mixfeed._native.spec(batch_size=50, flip_prob=0.5, shuffle=False)
    assert mixfeed._native.spec(**numpys, rand_augment=False) == expected
    loader = mixfeed.torch.Loader(loaders, start=numpy.int64(3), **numpys)
    loader.set_epoch(numpy.int64(2))
    assert loader.state_dict()["next"] == 40
    loader.close()


@pytest.mark.parametrize(
    ("loaders", "error", "text"),
    [
        ("photos/train", mixfeed.SettingsError, r"`photos/train` is data .*: mixfeed.local\("),
        (pathlib.Path("photos"), mixfeed.SettingsError, r"`photos` is data .*: mixfeed.local\("),
        (str(pathlib.Path(__file__).parent), mixfeed.SettingsError, "is data and no address"),
        ("synthetic:1000", mixfeed.SettingsError, "is data and no address"),
        (None, TypeError, "loaders is None, it takes addresses"),
        ([7], TypeError, "loaders is .7., it takes addresses"),
    ],
)
def test_data_in_place_of_addresses_are_refused_with_the_way_to_read_them(loaders, error, text):
    for reader in (mixfeed.Stream, mixfeed.torch.Loader):
        with pytest.raises(error, match=text):
            reader(loaders)


def test_numbers_of_the_wrong_count_are_refused_before_a_batch_is_asked_for(loaders):
    channels = mixfeed.torch.Loader(loaders, mean=[0.5, 0.5], dtype=torch.float32)
    mixed = mixfeed.torch.Loader(loaders, targets="classes", mixup_alpha=1, mixup_prob=1)
    for loader, text in (channels, "mean has 2 numbers, and images have 3 channels"), (mixed, "the stream mixes: ask for"):
        # Each time, whatever is asked.
        for ask in (iter, len, mixfeed.torch.Loader.state_dict, lambda loader: loader.info, mixfeed.torch.Loader.state_dict):
            with pytest.raises(mixfeed.SettingsError, match=text):
                ask(loader)
        loader.close()


def test_a_broken_state_is_refused_and_leaves_the_loader_as_it_was(loaders):
    loader = mixfeed.torch.Loader(loaders, batch_size=20)
    reader = iter(loader)
    next(reader)
    state = loader.state_dict()
    for broken in ({}, None, [], {**state, "next": -1}, {**state, "next": "x"}, {**state, "next": 1.5}, {"next": 1}):
        with pytest.raises(mixfeed.SettingsError, match="it must be what state_dict.. gave"):
            loader.load_state_dict(broken)
    with pytest.raises(mixfeed.SettingsError):
        loader.load_state_dict({**state, "stream": "[stream"})
    with pytest.raises(mixfeed.SettingsError, match="dataset.digest: "):
        loader.load_state_dict({**state, "stream": state["stream"].replace('digest = "', 'digest = "x', 1)})
    assert loader.state_dict() == state and loader.epoch == 0
    for epoch in (-1, 1.5, "1", True):
        with pytest.raises(mixfeed.SettingsError, match="epoch is .*, it must be a whole number, 0 or more"):
            loader.set_epoch(epoch)
    assert len(next(reader)[0]) == 20
    loader.close()


def test_a_loader_that_is_read_by_two_says_so(loaders):
    loader = mixfeed.torch.Loader(loaders, batch_size=20)
    with pytest.raises(mixfeed.Error, match="iterated anew.*a Loader of its own"):
        list(zip(loader, loader))
    reader, inside = iter(loader), threading.Event()
    loader._target = lambda batch: (inside.set(), threading.Event().wait(0.2))
    thread = threading.Thread(target=next, args=(reader,))
    thread.start()
    inside.wait()
    with pytest.raises(mixfeed.Error, match="another thread reads this epoch"):
        next(reader)
    thread.join()
    loader.close()


def test_what_failed_is_raised_again_and_asked_for_without_waiting(socket):
    with serving("synthetic:100", socket) as server:
        settings = {"loader_timeout": "500ms", "tuning": {"window_batches": 2}, **MIXUP}
        loader = mixfeed.torch.Loader(socket, batch_size=10, **settings)
        reader = iter(loader)
        next(reader)
        server.kill()
        server.wait()
        with pytest.raises(mixfeed.NoLoaderError):
            while True:
                next(reader)
    state = loader.state_dict()
    read = state["next"]
    # As long as it takes to be noticed, and ten times that.
    loader._settings["loader_timeout"] = "10m"
    for _ in range(2):
        with pytest.raises(mixfeed.NoLoaderError):
            next(reader)
    assert read >= 1 and loader.epoch == 0 and len(loader) == 10 and loader.stats["batches"] >= 1
    with serving("synthetic:100", socket):
        assert len(list(loader)) == 10 - read, "with a loader there again, the epoch goes on"
    loader.close()


def test_who_never_reached_a_loader_has_a_state_all_the_same():
    loader = mixfeed.torch.Loader(NOBODY, loader_timeout="200ms", start=7)
    with pytest.raises(mixfeed.NoLoaderError) as raised:
        iter(loader)
    loader._settings["loader_timeout"] = "10m"
    assert loader.state_dict()["next"] == 7
    for asked in (len, lambda loader: loader.epoch, lambda loader: loader.info):
        with pytest.raises(mixfeed.NoLoaderError) as again:
            asked(loader)
        assert again.value is raised.value


def test_loaders_that_were_closed_are_not_waited_for():
    settings = {"batch_size": 10, "tuning": {"window_batches": 2, "queue_batches": 1}}
    with mixfeed.local("synthetic:100", workers=1) as local:
        stream, loader = mixfeed.Stream(local, **settings), mixfeed.torch.Loader(local, **settings)
        next(stream)
        reader = iter(loader)
        next(reader)
    assert local.closed
    for one in (stream, reader):
        with pytest.raises(mixfeed.ClosedError, match="loaders of this machine were closed"):
            for _ in one:
                pass
    for reader in (mixfeed.Stream, mixfeed.torch.Loader):
        with pytest.raises(mixfeed.ClosedError, match="loaders of this machine were closed"):
            reader(local)
    assert loader.state_dict()["next"] >= 1
    loader.close()
