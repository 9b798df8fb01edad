"""Data sets and transforms of Python's that are not what they should be: what is said of them, here and at the client."""

import logging
import re
import threading

import numpy
import own_data
import pytest
from conftest import MIXUP, until
from own_data import NAMED, Drawings

import mixfeed

ASKED = {"custom_augmentation": "drawings:2"}


def read(loaders, **settings):
    with mixfeed.Stream(loaders, **{"batch_size": 10, "epochs": 3, **settings}) as stream:
        return sum(1 for _ in stream)


@pytest.mark.parametrize("processes", [0, 1])
def test_an_exception_in_a_transform_fails_its_batch_with_the_last_line_of_the_traceback(processes, caplog):
    caplog.set_level(logging.INFO)
    dataset = [(numpy.full((4, 4, 3), 10 * number, numpy.uint8), 0) for number in range(20)]
    given = {"transform": own_data.fails_on_bright_images, **NAMED}
    opened = mixfeed.local(dataset, processes=1, **given) if processes else mixfeed.serving(dataset, **given)
    said = re.escape("sample 15: drawings[15]: transform drawings:2: ValueError: too bright: 150 (own_data.py:")
    with opened as loaders:
        stream = mixfeed.Stream(loaders, batch_size=5, shuffle=False, epochs=1, **ASKED)
        batches = [next(stream).index for _ in range(3)]
        with pytest.raises(mixfeed.DataLossError, match=f"batch 3 cannot be made: {said}") as raised:
            next(stream)
        assert batches == [0, 1, 2] and raised.value.index == 3
        with pytest.raises(mixfeed.DataLossError):
            next(stream)  # Nobody takes it for the end of the data.
        stream.close()
        # Other batches are as they were, and the loader serves on.
        assert read(loaders, batch_size=5, epochs=1) == 4
    loader = "\n".join(record.getMessage() for record in caplog.records if record.name == "mixfeed.loader")
    assert "batch cannot be built: a transform fails" in loader and "Traceback (most recent call last)" in loader
    assert re.search("transform drawings:2: ValueError: too bright: 150", loader)


def test_an_exception_in_a_data_set_fails_its_batch_with_the_last_line_of_the_traceback(tmp_path, caplog):
    broken = tmp_path / "broken"
    with mixfeed.local(own_data.Breaking(broken), processes=2, **NAMED) as loaders:
        assert read(loaders) == 18
        broken.write_text("")
        with mixfeed.Stream(loaders, batch_size=5, shuffle=False) as stream:
            assert next(stream).index == 0
            said = re.escape("batch 1 cannot be made: sample 7: drawings[7]: RuntimeError: no picture of a cat (own_data.py:")
            with pytest.raises(mixfeed.DataLossError, match=said):
                next(stream)
    assert "batch cannot be built: a record is damaged" in caplog.text and "RuntimeError: no picture of a cat" in caplog.text


def test_a_transform_with_a_generator_of_its_own_is_named():
    # Of each image: it is found before anything is served.
    with pytest.raises(mixfeed.LoaderStartError, match="transform drawings:2 gives two results for one image and one key"):
        mixfeed.serving(Drawings(), own_data.OwnGenerator(rows=0), **NAMED)
    # Of images that the loader does not try it on: by the calls that are made twice.
    with mixfeed.local(Drawings(200, (40, 8)), processes=1, transform=own_data.OwnGenerator(), **NAMED) as loaders:
        said = "transform drawings:2: ValueError: it gives two results for one image and one generator"
        with pytest.raises(mixfeed.DataLossError, match=said):
            read(loaders, **ASKED)


def test_an_audit_finds_a_transform_that_is_another_one_in_each_process_and_names_it(caplog):
    with mixfeed.local(Drawings(200, (40, 8)), processes=3, transform=own_data.OwnSeed(), **NAMED) as loaders:
        stream = mixfeed.Stream(loaders, batch_size=10, audit=1, **MIXUP, **ASKED)
        reader = threading.Thread(target=ended, args=(stream,))
        reader.start()
        until(lambda: "the stream asks for the transform drawings:2: one that draws" in caplog.text, "it is named")
        stream.close()
        reader.join()
    said = "loaders contradict each other about a batch"
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith(said)]
    assert lines and ".sock" in lines[0]


def test_a_stream_that_is_to_stop_ends_where_loaders_contradict_each_other():
    with mixfeed.local(Drawings(200, (40, 8)), processes=2, transform=own_data.OwnSeed(), **NAMED) as loaders:
        settings = {"audit": 1, "audit_policy": "stop", **MIXUP, **ASKED}
        stream = mixfeed.Stream(loaders, batch_size=10, **settings)
        with pytest.raises(mixfeed.ContradictionError, match="audit_data|contradict each other") as raised:
            for _ in stream:
                pass
        assert raised.value.index >= 0


def ended(stream):
    try:
        for _ in stream:
            pass
    except mixfeed.Error:
        pass


def test_a_data_set_that_is_not_the_same_each_time_is_refused():
    with pytest.raises(mixfeed.SettingsError, match="sample 0 of the data set is another one when it is read again"):
        mixfeed.serving(own_data.Restless(), **NAMED)
    # Or fails its batch, where it was the same at first.
    with mixfeed.serving([list(Drawings()[number]) for number in range(8)], **NAMED) as loaders:
        loaders._given.splits[0][6][0][0, 0] ^= 1
        with mixfeed.Stream(loaders, batch_size=4, shuffle=False, loader_timeout="1s") as stream:
            assert next(stream).index == 0
            reader = threading.Thread(target=ended, args=(stream,))
            reader.start()
            until(lambda: stream.stats["batches"] == 1, "the first batch was taken")
            stream.close()
            reader.join()


@pytest.mark.parametrize(
    ("dataset", "given", "said"),
    [
        ([], {}, "the data set has no samples"),
        (7, {}, "the data set is 7, it must have __len__ and __getitem__"),
        ([3], {}, "sample 0 of the data set cannot be read: TypeError: it is of type int, it must be an image and a label"),
        ([numpy.zeros((4, 4, 3), "u1")], {}, r"it is of type ndarray and shape \(4, 4, 3\), it must be an image and a label"),
        ([{"image": 0, "label": 0}], {}, "it is of type dict, it must be an image and a label"),
        ([(numpy.zeros((2, 2, 3)), 0)], {}, r"is a ndarray of float64 and shape \(2, 2, 3\): it must be uint8"),
        ([(numpy.zeros((2, 2, 3), "u1"), "cat")], {}, "TypeError: its label is 'cat', it must be a whole number"),
        ([(numpy.zeros((2, 2, 3), "u1"), -1)], {}, "sample 0 of the data set has label -1, it must be from 0 to 65535"),
        ([(numpy.zeros((2, 2, 3), "u1"), 1 << 31)], {}, "has label 2147483648, it must be from 0 to 65535"),
        (own_data.Wordy(), {}, r"cannot be read: ValueError: too bright: \(own_data.py"),
        (Drawings(), {"classes": "ab"}, "classes is 'ab', it must be a list of names"),
        (Drawings(), {"classes": ["a", "b", "a"]}, "classes has 'a' twice"),
        (Drawings(), {"processes": 2, "transform": own_data.of_its_process}, "makes something else of the same images and generators"),
        (Drawings(), {"transform": own_data.grows}, "the image was 8x10x3 and is 16x10x3: a transform keeps the size"),
        (Drawings(), {"transform": 3}, "transform is 3, it must be a function of an image and a generator"),
        (Drawings(), {"kind": "jax"}, "kind is 'jax', it must be one of numpy, torch, pil"),
        (Drawings(), {"name": "My Data"}, "name is 'My Data', it must be 1 to 32 of a-z, 0-9 and -"),
        (Drawings(), {"version": 0}, "version is 0, it must be 1 or more"),
        (Drawings(), {"processes": 1, "transform": lambda image, generator: image}, "must be such as pickle takes"),
        ("synthetic:9", {"transform": own_data.grows}, "transform is for a data set of Python's"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(dataset, given, said):
    with pytest.raises(mixfeed.SettingsError, match=said):
        mixfeed.local(dataset, **given)


def test_pillows_images_of_more_than_a_byte_are_refused_and_not_cut_off():
    pil = pytest.importorskip("PIL.Image")
    for mode, value in (("I;16", 40000), ("I", 1000), ("F", 0.5)):
        with pytest.raises(mixfeed.SettingsError, match=r"shape \(8, 8, 1\): it must be uint8"):
            mixfeed.serving([(pil.new(mode, (8, 8), value), 0)], name="deep")


def test_a_transform_of_torchvisions_must_be_seeded_and_handed_what_it_takes():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    flip = v2.RandomHorizontalFlip()
    with pytest.raises(mixfeed.SettingsError, match=r"draw from global generators: give mixfeed.seeded\(transform\)"):
        mixfeed.local(Drawings(), transform=flip)
    with pytest.raises(mixfeed.SettingsError, match='leave arrays as they are: ask for kind="torch"'):
        mixfeed.local(Drawings(), transform=mixfeed.seeded(flip))


def test_what_is_wrong_with_classes_and_flags_is_said():
    for given, said in (
        ({"classes": ["zero"]}, "drawings: train sample 1 has label 1, of 1 classes"),
        ({"dataset": Drawings(1, (16, 70000))}, "an image of 16×70000×3 is larger than a stream carries"),
        ({"listen": "unix:///nowhere/at/all"}, "nowhere"),
    ):
        with pytest.raises(mixfeed.LoaderStartError, match=said):
            mixfeed.serving(**{"dataset": Drawings(), **NAMED, **given})
    with pytest.raises(mixfeed.SettingsError, match="unexpected argument 'colour' found"):
        mixfeed.serving(Drawings(), **NAMED, colour=True)
    with pytest.raises(mixfeed.LoaderStartError, match="unexpected keyword 'colour' found"):
        mixfeed.local(Drawings(), processes=1, **NAMED, colour=True)
