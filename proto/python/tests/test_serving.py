"""Data sets and transforms of Python's, served: the same batches from any number of processes."""

import importlib
import logging
import os
import pickle
import random
import signal

import numpy
import own_data
import pytest
from conftest import MIXUP, until
from own_data import NAMED, Drawings

import mixfeed

SETTINGS = {"batch_size": 10, "epochs": 3, "seed": 5, **MIXUP}
ASKED = {"custom_augmentation": "drawings:2"}
# Nothing may be fetched so far ahead that no loss is noticed.
TUNING = {"window_batches": 6, "idle_timeout": 0.5, "retry_cap": 0.2}


def digests(loaders, **settings):
    with mixfeed.Stream(loaders, **{**SETTINGS, **settings}) as stream:
        return [batch.digest() for batch in stream]


def pixels(loaders, **settings):
    with mixfeed.Stream(loaders, **{**SETTINGS, **settings}) as stream:
        return [bytes(batch.images) for batch in stream]


def survivors(dataset, transform, settings):
    """What three processes deliver of which one is killed in the middle."""
    with mixfeed.local(dataset, processes=3, workers=1, transform=transform, **settings.pop("given", {})) as loaders:
        with mixfeed.Stream(loaders, tuning=TUNING, **settings) as stream:
            until(lambda: stream.stats["replicas_serving"] == 3, "all loaders serve")
            found = [next(stream).digest() for _ in range(3)]
            os.kill(loaders.pids[0], signal.SIGKILL)
            found += [batch.digest() for batch in stream]
            assert stream.stats["replicas_serving"] == 2
    return found


def test_three_processes_of_which_one_is_killed_deliver_what_one_does():
    settings = {**SETTINGS, "epochs": 20, **ASKED}
    with mixfeed.serving(Drawings(), own_data.flip_and_shift, **NAMED) as here:
        expected = digests(here, **settings)
    assert len(expected) == len(set(expected)) == 120
    assert survivors(Drawings(), own_data.flip_and_shift, {**settings, "given": NAMED}) == expected


def test_a_transform_of_torchvisions_gives_the_same_by_one_and_by_three_processes():
    torch, v2 = pytest.importorskip("torch"), pytest.importorskip("torchvision.transforms.v2")
    loading = importlib.import_module("mixfeed.torch")
    transform = mixfeed.seeded(v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4), v2.RandomRotation(20)]))
    given = {**NAMED, "kind": "torch"}
    settings = {**SETTINGS, "epochs": 10, **ASKED}
    with mixfeed.serving(Drawings(size=(24, 24)), transform, **given) as one:
        expected = digests(one, **settings)
        assert not set(pixels(one, **settings)) & set(pixels(one, **{**settings, "custom_augmentation": None}))
        loader = loading.Loader(one, **settings, dtype=torch.float32)
        assert next(iter(loader))[0].shape == (10, 3, 24, 24)
        loader.close()
    assert survivors(Drawings(size=(24, 24)), transform, {**settings, "given": given}) == expected


def test_a_transform_is_handed_the_same_generator_for_the_same_seed_epoch_and_sample_and_no_other():
    shown = []

    def transform(image, generator):
        assert image.flags.writeable and image.dtype == numpy.uint8
        image[:] = 0
        image.reshape(-1)[:8] = generator.integers(0, 256, 8)
        shown.append(bytes(image.reshape(-1)[:8]))
        return image

    with mixfeed.serving(Drawings(), transform, **NAMED) as loaders:
        def drawn(**settings):
            with mixfeed.Stream(loaders, batch_size=10, **{"epochs": 2, **ASKED, **settings}) as stream:
                return {bytes(image.reshape(-1)[:8]) for batch in stream for image in numpy.from_dlpack(batch.images)}

        first = drawn(seed=1)
        assert len(first) == 120, "each sample has a generator of its own in each epoch"
        assert drawn(seed=1) == first and not drawn(seed=2) & first
        # Whoever has a part of the rows has the same of them, and a partner in the mix is not shown as its own turn is.
        assert drawn(seed=1, rank=0, world=2) | drawn(seed=1, rank=1, world=2) == first


@pytest.mark.parametrize("kind", ["numpy", "torch", "pil"])
def test_an_image_is_handed_as_it_is_asked_for(kind):
    pytest.importorskip({"numpy": "numpy", "torch": "torch", "pil": "PIL.Image"}[kind])
    seen = []

    def transform(image, generator):
        seen.append((type(image).__name__, tuple(getattr(image, "shape", None) or image.size), type(generator).__name__))
        return image

    with mixfeed.serving(Drawings(), transform, kind=kind, **NAMED) as loaders:
        assert pixels(loaders, **ASKED) == pixels(loaders)
    assert seen[-1] == {
        "numpy": ("ndarray", (8, 10, 3), "Generator"),
        "torch": ("Tensor", (3, 8, 10), "Generator"),
        "pil": ("Image", (10, 8), "Generator"),
    }[kind]


def test_images_come_as_arrays_tensors_and_pillows_in_colour_and_in_grey():
    torch, pil = pytest.importorskip("torch"), pytest.importorskip("PIL.Image")
    arrays = [Drawings()[number][0] for number in range(6)]

    def served(images):
        with mixfeed.serving([(image, number % 2) for number, image in enumerate(images)], name="images") as loaders:
            with mixfeed.Stream(loaders, batch_size=6, shuffle=False, epochs=1) as stream:
                assert stream.info.classes == ["0", "1"] and stream.info.dataset == "images"
                (batch,) = list(stream)
                assert list(numpy.from_dlpack(batch.labels)) == [0, 1] * 3
                return stream.info.dataset_digest, numpy.from_dlpack(batch.images).copy()

    digest, images = served(arrays)
    assert (images == numpy.stack(arrays)).all()
    for others in (map(pil.fromarray, arrays), [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]):
        assert served(others)[0] == digest
    _, grey = served([array[:, :, 0] for array in arrays])
    assert (grey == numpy.stack(arrays)[:, :, :, :1]).all()


def test_images_of_many_sizes_are_sent_in_the_size_that_a_stream_asks_for():
    with mixfeed.serving(own_data.OfManySizes(), own_data.flip_and_shift, test=Drawings(9, (30, 20)), **NAMED) as loaders:
        with mixfeed.Stream(loaders, batch_size=8, image_size=16, resized_crop=0.5, epochs=1, **ASKED) as stream:
            assert stream.info.shape == (16, 16, 3) and stream.info.train_samples == 60
            assert sum(len(batch) for batch in stream) == 60
        with mixfeed.Stream(loaders, batch_size=8, image_size=16, split="test", epochs=1) as stream:
            assert sum(len(batch) for batch in stream) == 9
        with pytest.raises(mixfeed.RefusedError, match="its images are of many sizes, 20×20 to 39×39"):
            mixfeed.Stream(loaders, batch_size=8)


def test_name_version_and_content_are_the_identity_of_data_and_algorithm():
    def identity(dataset, transform=own_data.flip_and_shift, **given):
        with mixfeed.serving(dataset, transform, **{**NAMED, **given}) as loaders, mixfeed.Stream(loaders) as stream:
            return stream.info.dataset_digest, stream.info.algorithm_fingerprint

    data, algorithm = identity(Drawings())
    assert identity(Drawings()) == (data, algorithm)
    for other in (identity(Drawings(), version=3), identity(Drawings(), name="pictures")):
        assert other[0] != data and other[1] != algorithm
    assert identity(Drawings(59))[0] != data and identity(Drawings(59))[1] == algorithm
    assert identity(Drawings(), own_data.fails_on_bright_images) == (data, identity(Drawings(9), own_data.fails_on_bright_images)[1])
    assert identity(Drawings(), own_data.fails_on_bright_images)[1] != algorithm, "what it computes is of the algorithm"


def test_a_run_of_another_version_is_not_resumed():
    with mixfeed.serving(Drawings(), **NAMED) as loaders, mixfeed.Stream(loaders, batch_size=10) as stream:
        spec = stream.spec
    with mixfeed.serving(Drawings(), name="drawings", version=3) as loaders:
        with pytest.raises(mixfeed.MismatchError, match="dataset"):
            mixfeed.Stream(loaders, spec=spec, loader_timeout="1s")


def test_a_stream_that_does_not_ask_for_the_transform_is_warned(caplog):
    with mixfeed.serving(Drawings(), own_data.flip_and_shift, **NAMED) as loaders:
        mixfeed.Stream(loaders, **ASKED).close()
        assert "does not ask for it" not in caplog.text
        mixfeed.Stream(loaders).close()
        assert 'the transform drawings:2, and this stream does not ask for it: custom_augmentation="drawings:2" does' in caplog.text


def test_an_index_is_written_once_and_read_at_the_next_start(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    index = tmp_path / "drawings.index"

    def data(**given):
        caplog.clear()
        with mixfeed.serving(Drawings(), index=index, **{**NAMED, **given}) as loaders, mixfeed.Stream(loaders) as stream:
            return stream.info.dataset_digest, "read 60 samples" in caplog.text

    digest, read = data()
    assert read and data() == (digest, False)
    kept = index.read_bytes()
    # That of another version, or a damaged one, is written anew.
    assert data(version=3)[1] and "is not the index of this data set" in caplog.text
    index.write_bytes(kept[:-40] + b"?" + kept[-39:])
    assert data() == (digest, True) and index.read_bytes() == kept


def test_a_seeded_transform_can_be_pickled_and_draws_from_the_generator_alone():
    torch = pytest.importorskip("torch")
    seeded = pickle.loads(pickle.dumps(mixfeed.seeded(draws_globally)))

    def drawn(seed):
        return seeded(None, numpy.random.default_rng(seed)), seeded(None, torch.Generator().manual_seed(seed))

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)


class WithASeed:
    """As transforms of albumentations are called."""

    def set_random_seed(self, seed):
        self.random = random.Random(seed)

    def __call__(self, *, image):
        return {"image": (image, self.random.random())}


def test_a_transform_with_a_seed_of_its_own_is_seeded_by_it():
    seeded = mixfeed.seeded(WithASeed())
    shown = [seeded("an image", numpy.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert shown[0] == shown[1] != shown[2] and shown[0][0] == "an image"


def draws_globally(image):
    import torch

    return random.random(), float(numpy.random.rand()), float(torch.rand(1))
