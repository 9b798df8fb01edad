"""The Loader in place of a DataLoader: epochs, ranks, tensors, and states to resume from."""

import copy
import pickle
import subprocess
import sys
import textwrap

import pytest
from conftest import DATA, MIXUP, Program

import mixfeed

torch = pytest.importorskip("torch")

import mixfeed.torch  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

MIXED = {"batch_size": 20, "seed": 4, **MIXUP}


@pytest.fixture
def make(loaders):
    """Makes Loaders, and closes them."""
    made = []

    def one(**settings):
        made.append(mixfeed.torch.Loader(loaders, **settings))
        return made[-1]

    yield one
    for loader in made:
        loader.close()


def raw(loaders, **settings):
    with mixfeed.Stream(loaders, **settings) as stream:
        return [torch.from_dlpack(batch.images) for batch in stream]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other))


def test_epochs_follow_each_other_and_differ(make, loaders):
    loader = make(**MIXED)
    epochs = [[images for images, _ in loader] for _ in range(2)]
    assert len(loader) == 50 and loader.epoch == 2
    expected = [images.permute(0, 3, 1, 2) for images in raw(loaders, epochs=2, **MIXED)]
    assert same(epochs[0] + epochs[1], expected)
    assert epochs[0][0].is_contiguous(memory_format=torch.channels_last)


def test_a_dict_names_the_samples_of_each_rank(make):
    settings = {"as_dict": True, "sample_ids": True, **MIXED}
    whole = next(iter(make(**settings)))["samples"]
    assert (whole.shape, whole.dtype) == ((20, 2), torch.int64) and len(set(whole[:, 0].tolist())) == 20
    shards = [next(iter(make(rank=rank, world=3, **settings)))["samples"] for rank in range(3)]
    assert torch.equal(torch.cat(shards), whole)
    assert "samples" not in next(iter(make(as_dict=True, **MIXED)))
    said = make(as_dict=True, spec="sample-ids = true\nbatch-size = 20\n")
    assert next(iter(said))["samples"].shape == (20, 2)


def test_set_epoch_goes_to_the_beginning_of_an_epoch(make):
    loader = make(as_dict=True, **MIXED)
    for epoch in (3, 1):
        loader.set_epoch(epoch)
        read = list(loader)
        assert [(item["index"], item["epoch"]) for item in read] == [(50 * epoch + n, epoch) for n in range(50)]


def test_an_epoch_that_was_left_is_not_taken_up_again(make):
    loader = make(as_dict=True, **MIXED)
    assert next(iter(loader))["index"] == 0
    assert next(iter(loader))["index"] == 50
    loader.set_epoch(1)
    assert next(iter(loader))["index"] == 50


def test_a_stream_with_an_end_ends(make):
    loader = make(steps=70, **MIXED)
    assert len(loader) == 50
    assert [(len(list(loader)), len(loader)) for _ in range(4)] == [(50, 50), (20, 20), (0, 0), (0, 0)]


def test_the_first_epoch_of_a_later_start_is_shorter(make):
    loader = make(start=80, epochs=3, **MIXED)
    assert [(len(loader), len(list(loader)), loader.epoch) for _ in range(3)] == [(20, 20, 2), (20, 50, 3), (50, 0, 3)]
    loader.load_state_dict({**loader.state_dict(), "next": 130})
    assert (len(loader), len(list(loader))) == (50, 20), "an epoch that is resumed is as long as it was"


def test_images_are_normalised_as_the_trainer_does(make, loaders):
    images = raw(loaders, steps=1, **MIXED)[0].permute(0, 3, 1, 2)
    mean, deviation = (0.49, 0.48, 0.45), (0.2, 0.25, 0.3)
    whole = next(iter(make(dtype=torch.float32, mean=mean, deviation=deviation, **MIXED)))[0]
    column = [torch.tensor(each).reshape(1, 3, 1, 1) for each in (mean, deviation)]
    torch.testing.assert_close(whole, (images / 255 - column[0]) / column[1])
    assert whole.dtype == torch.float32 and whole.is_contiguous(memory_format=torch.channels_last)
    half = next(iter(make(dtype=torch.bfloat16, **MIXED)))[0]
    assert torch.equal(half, (images.float() * torch.tensor(1 / 127.5) - 1).to(torch.bfloat16))
    assert half.min() >= -1 and half.max() <= 1


def test_images_of_uint8_are_the_streams_own_bytes(make, monkeypatch):
    loader, batches = make(**MIXED), []
    monkeypatch.setattr(loader, "_target", batches.append)
    images, _ = next(iter(loader))
    assert images.data_ptr() == batches[0].images.data_ptr


def test_a_batch_that_failed_on_its_way_out_does_not_count_as_handed_out(make, monkeypatch):
    loader = make(as_dict=True, **MIXED)
    reader = iter(loader)
    next(reader)
    monkeypatch.setattr(loader, "_target", lambda batch: 1 / 0)
    for _ in range(2):  # And it does not look like the end of the epoch.
        with pytest.raises(ZeroDivisionError):
            next(reader)
    assert (loader.state_dict()["next"], loader.epoch) == (1, 0)
    monkeypatch.undo()
    assert [item["index"] for item in loader] == list(range(1, 50)), "the next loop goes on where it failed"


def test_a_cuda_device_takes_pinned_memory_without_waiting(make, monkeypatch):
    """There may be none here: what stands in for the copy writes down how it was asked for."""
    expected = next(iter(make(dtype=torch.float32, targets="pairs", **MIXED)))
    pinned, copied, to = [], [], torch.Tensor.to

    def pin(tensor):
        pinned.append(tensor.clone(memory_format=torch.preserve_format))
        return pinned[-1]

    def copy_to(tensor, *target, **how):
        if target != (torch.device("cuda"),):
            return to(tensor, *target, **how)
        assert how == {"non_blocking": True} and any(tensor is other for other in pinned)
        copied.append(tensor)
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", copy_to)
    images, targets = next(iter(make(dtype=torch.float32, targets="pairs", device="cuda", **MIXED)))
    monkeypatch.undo()
    assert torch.equal(images, expected[0]) and images.is_contiguous(memory_format=torch.channels_last)
    assert same(targets, expected[1]) and len(copied) == 6, "images, what normalises them, and three of targets"


def test_loaders_live_as_long_as_who_reads_them():
    loader = mixfeed.torch.Loader(mixfeed.local("synthetic:100", workers=1), loader_timeout="5s", **MIXED)
    assert len(next(iter(loader))[0]) == 20
    loader.close()


def test_targets_come_as_the_loss_wants_them(make):
    soft = next(iter(make(**MIXED)))[1]
    label, partner, weight = next(iter(make(targets="pairs", **MIXED)))[1]
    one_hot = [torch.nn.functional.one_hot(classes, 10) for classes in (label, partner)]
    assert torch.equal(soft, weight[:, None] * one_hot[0] + (1 - weight[:, None]) * one_hot[1])
    assert (weight < 1).any() and (label != partner).any()
    classes = next(iter(make(batch_size=20, seed=4)))[1]
    assert torch.equal(classes, label) and classes.dtype == torch.int64
    assert torch.equal(next(iter(make(batch_size=20, seed=4, targets="soft")))[1], one_hot[0].float())
    with pytest.raises(mixfeed.SettingsError, match="the stream mixes"):
        next(iter(make(targets="classes", **MIXED)))
    with pytest.raises(mixfeed.SettingsError, match="targets is 'hard'"):
        make(targets="hard")


def test_a_state_resumes_at_every_step(make):
    whole = make(as_dict=True, **MIXED)
    items, states = [], []
    for item in whole:
        items.append(item)
        states.append(whole.state_dict())
    resumed = make(as_dict=True, **MIXED)
    for step in range(49):
        resumed.load_state_dict(states[step])
        resumed.set_epoch(0)  # As loops do that count epochs: it must not rewind.
        following = next(iter(resumed))
        assert following["index"] == step + 1
        assert torch.equal(following["images"], items[step + 1]["images"])
        assert torch.equal(following["targets"], items[step + 1]["targets"])
    resumed.load_state_dict(states[29])
    assert same([item["images"] for item in resumed], [item["images"] for item in items[30:]])
    # After the last batch, the next epoch follows.
    resumed.load_state_dict(states[49])
    assert (resumed.epoch, next(iter(resumed))["index"]) == (1, 50)


def test_a_state_is_small_and_plain_whatever_was_read(make):
    loader = make(**MIXED)
    first = loader.state_dict()
    list(loader)
    state = loader.state_dict()
    assert set(state) == {"next", "stream"} and state["next"] == 50 and state["stream"] == first["stream"]
    assert torch.equal(next(iter(make(**MIXED)))[0], next(iter(loader_of(make, first)))[0])


def loader_of(make, state):
    loader = make(**MIXED)
    loader.load_state_dict(state)
    return loader


def test_a_state_of_something_else_is_refused_by_name(make, loaders):
    state = make(**MIXED).state_dict()
    with pytest.raises(mixfeed.MismatchError, match="batch-size is 32 here, 20 there; mixing.alpha is not set here"):
        make(batch_size=32, seed=4).load_state_dict(state)
    with mixfeed.local("synthetic:999", workers=1) as others:
        loader = mixfeed.torch.Loader(others, loader_timeout="2s", **MIXED)
        with pytest.raises(mixfeed.MismatchError, match="serves dataset [0-9a-f]+ .synthetic., expected"):
            loader.load_state_dict(state)


def test_torchdatas_stateful_loader_resumes_it(make):
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    whole = [images for images, _ in make(**MIXED)]
    outer = stateful(make(**MIXED), batch_size=None, num_workers=0)
    read = []
    for images, _ in outer:
        read.append(images)
        if len(read) == 17:
            state = pickle.loads(pickle.dumps(outer.state_dict()))
            break
    resumed = stateful(make(**MIXED), batch_size=None, num_workers=0)
    resumed.load_state_dict(state)
    assert same(read + [images for images, _ in resumed], whole)


def test_a_data_loader_hands_it_on_and_its_workers_are_refused(make):
    whole = [images for images, _ in make(**MIXED)]
    assert same([images for images, _ in DataLoader(make(**MIXED), batch_size=None)], whole)
    with pytest.raises(mixfeed.Error, match="num_workers is 2, it must be 0: the loaders are the workers"):
        next(iter(DataLoader(make(**MIXED), batch_size=None, num_workers=2)))


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_ranks_together_have_the_global_batches(make, world):
    settings = {"batch_size": 150, **MIXUP}  # The last of seven batches has 100 rows, which no 3 share evenly.
    whole = list(make(as_dict=True, **settings))
    shards = [list(make(as_dict=True, rank=rank, world=world, **settings)) for rank in range(world)]
    assert {len(shard) for shard in shards} == {7}
    for number, item in enumerate(whole):
        for part in ("images", "targets"):
            joined = torch.cat([shard[number][part] for shard in shards])
            assert torch.equal(joined, item[part])
    rows = [len(shard[-1]["images"]) for shard in shards]
    assert sum(rows) == 100 and max(rows) - min(rows) <= 1


def test_fewer_rows_than_ranks_are_warned_of_in_one_line(caplog):
    with mixfeed.local(DATA, workers=1, processes=2) as loaders:
        loader = mixfeed.torch.Loader(loaders, split="test", batch_size=66, rank=0, world=3)
        assert sum(len(images) for images, _ in loader) == 66
        loader.close()
    said = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert said == ["the last batch of an epoch has fewer rows than there are ranks: each of 3 reads all rows"]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_evaluation_counts_each_sample_once(make, world):
    settings = {"split": "test", "shuffle": False, "batch_size": 66}  # The last batch has 2 of 200 rows.
    order = torch.cat([images for images, _ in make(**settings)])
    assert len(order) == 200 and len(torch.unique(order, dim=0)) == 200
    shards = [[images for images, _ in make(rank=rank, world=world, **settings)] for rank in range(world)]
    assert {len(shard) for shard in shards} == {4}
    last = [len(shard[-1]) for shard in shards]
    assert sum(last) == 2 and (min(last) == 0) == (world > 2)
    joined = torch.cat([torch.cat(images) for images in zip(*shards)])
    assert torch.equal(joined, order)


def test_another_number_of_ranks_resumes(make):
    shards = [make(rank=rank, world=2, **MIXED) for rank in range(2)]
    readers = [iter(shard) for shard in shards]
    for _ in range(10):
        items = [next(reader) for reader in readers]
    states = [shard.state_dict() for shard in shards]
    assert len(items) == 2 and states[0] == states[1]
    alone = make(**MIXED)
    alone.load_state_dict(states[1])
    images = next(iter(alone))[0]
    assert torch.equal(images, torch.cat([next(reader)[0] for reader in readers]))


def test_ranks_come_from_the_environment(make, monkeypatch):
    expected = next(iter(make(rank=1, world=2, **MIXED)))[0]
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(mixfeed.SettingsError, match="RANK is '1' and WORLD_SIZE None"):
        make(**MIXED)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert torch.equal(next(iter(make(**MIXED)))[0], expected)
    assert len(next(iter(make(rank=0, world=1, **MIXED)))[0]) == 20, "what is given wins"


GROUP = """
    import sys, torch.distributed as group, mixfeed.torch
    group.init_process_group("gloo")
    loader = mixfeed.torch.Loader(sys.argv[1], batch_size=30, split="test", shuffle=False)
    batches = [None] * group.get_world_size()
    group.all_gather_object(batches, [images for images, _ in loader])
    if group.get_rank() == 0:
        mixfeed.torch.torch.save((len(loader), batches), sys.argv[2])
    group.destroy_process_group()
"""


def test_torchruns_ranks_share_each_batch(make, loaders, tmp_path, monkeypatch):
    if not torch.distributed.is_available():
        pytest.skip("torch: it was built without torch.distributed")
    (tmp_path / "group.py").write_text(textwrap.dedent(GROUP))
    # On this machine alone, whatever its name resolves to.
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    run = ["--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    command = ["-m", "torch.distributed.run", *run, tmp_path / "group.py", loaders.addresses[0], tmp_path / "read"]
    subprocess.run([sys.executable, *map(str, command)], check=True)
    length, shards = torch.load(tmp_path / "read")
    whole = [images for images, _ in make(batch_size=30, split="test", shuffle=False)]
    assert length == len(whole) == 7
    assert same([torch.cat(parts) for parts in zip(*shards)], whole)


TRAINING = """
    import hashlib, os, signal, sys, torch, mixfeed.torch
    address, checkpoint, stays, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), 2
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(3072, 16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    loader = mixfeed.torch.Loader(address, batch_size=20, limit=500, mixup_alpha=0.2, mixup_prob=0.5, dtype=torch.float32)
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        loader.load_state_dict(state["loader"])
        print("resumed at", state["loader"]["next"], flush=True)
    for epoch in range(loader.epoch, epochs):
        loader.set_epoch(epoch)
        for images, targets in loader:
            loss = torch.nn.functional.cross_entropy(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            state.update(rng=torch.get_rng_state(), loader=loader.state_dict())
            torch.save(state, checkpoint + ".part")
            os.replace(checkpoint + ".part", checkpoint)
            print("step", state["loader"]["next"], flush=True)
            if state["loader"]["next"] == stays:
                signal.pause()  # Until it is killed.
    weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    print(hashlib.sha256(weights).hexdigest())
"""


def test_a_training_that_was_killed_ends_with_the_same_weights(loaders, tmp_path):
    address = ",".join(loaders.addresses)
    calm = Program(TRAINING, address, tmp_path / "calm.pt", 0)  # Beside the others.
    for step in (7, 36):  # In the middle of an epoch each; the second kill follows the first.
        program = Program(TRAINING, address, tmp_path / "killed.pt", step)
        while program.line() != f"step {step}":
            pass
        program.process.kill()
        program.end()
    last = Program(TRAINING, address, tmp_path / "killed.pt", 0).succeed().splitlines()
    assert last[0] == "resumed at 36"
    undisturbed = calm.succeed().splitlines()
    assert len(undisturbed) == 51 and last[-1] == undisturbed[-1]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_a_copy_opens_its_own_stream_and_keeps_its_place(make, copied):
    loader = make(**MIXED)
    reader = iter(loader)
    next(reader)
    other = copied(loader)
    assert other.state_dict() == loader.state_dict()
    assert torch.equal(next(reader)[0], next(iter(other))[0])
    other.close()
