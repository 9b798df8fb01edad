# Written by `mixfeed._native.keywords()`, from the settings of the crate.

import os
from collections.abc import Sequence
from typing import TypedDict

class Settings(TypedDict, total=False):
    """Keywords of a stream. What is not given is off, or as its default says."""

    split: str | None
    """Which part of the dataset: train or test [default: train]."""
    limit: int | None
    """Use only the first N samples, before shuffling."""
    batch_size: int | None
    """Batch size, in samples of all ranks together [default: 128]."""
    seed: int | None
    """Random seed, of order, augmentation and mixing [default: 0]."""
    shuffle: bool | None
    """Give each epoch its own order [default: true]."""
    remainder: str | None
    """The smaller last batch of an epoch: keep or drop it [default: keep]."""
    sample_ids: bool | None
    """Name the samples that each row is made of, as batch.samples [default: false]."""
    mixup_alpha: float | None
    """mixup: draw lambda from Beta(ALPHA, ALPHA); 0 disables mixup."""
    mixup_prob: float | None
    """Probability of mixup or CutMix, 0 to 1, drawn for each sample, or for each batch with lambda_per batch."""
    cutmix_alpha: float | None
    """CutMix: draw lambda from Beta(ALPHA, ALPHA); 0 disables CutMix."""
    switch_prob: float | None
    """With mixup and CutMix: probability of CutMix instead of mixup."""
    lambda_per: str | None
    """Draw one lambda per sample or per batch."""
    partner: str | None
    """Partner, the second image of a mixed pair: from the whole dataset, or from a permutation of the batch."""
    mixup_until: int | None
    """Mix the first EPOCHS epochs only."""
    mixup_schedule: str | None
    """Mix otherwise from some epochs (counted from 0) on: mixup-alpha, mixup-prob, cutmix-alpha and switch-prob, what is not named being as the flags say, or off, or on (as the flags say), e.g. 0:mixup-alpha=0.2,mixup-prob=1;20:off."""
    crop_padding: int | None
    """Random crop: zero padding on each side before it; 0 disables it."""
    flip_prob: float | None
    """Horizontal flip: its probability."""
    image_size: str | int | None
    """Size of the images as sent, HEIGHTxWIDTH or one side: a random resized crop of the original is resized to it, otherwise the whole image, as resize says."""
    resize: str | None
    """Resize to image_size without a random resized crop, as in evaluation: center-crop (shorter side to SIDE pixels, then the center; without SIDE the image just covers the size), stretch, or letterbox (padded with VALUE, 0 to 255)."""
    scaled_decoding: bool | None
    """Decode JPEG files at 1/2, 1/4 or 1/8 (scaled IDCT) where that is still at least image_size: faster, other pixels."""
    resized_crop: float | None
    """Random resized crop: minimum scale, the fraction of the image's area, e.g. 0.08 for scale=(0.08, 1), ratio=(3/4, 4/3); 0 disables it."""
    trivial_augment: bool | None
    """TrivialAugment (wide)."""
    rand_augment: str | bool | None
    """RandAugment: number of operations, 1 to 8, and their magnitude, 0 to 30."""
    color_jitter: float | Sequence[float] | None
    """Color jitter: brightness, contrast, saturation (0 to 10 each) and hue (0 to 0.5), or one value for the first three."""
    grayscale_prob: float | None
    """Random grayscale: its probability."""
    erase_prob: float | None
    """Random erasing: its probability, with scale=(0.02, 0.33), ratio=(0.3, 3.3)."""
    cutout: int | None
    """Cutout: side of the erased square in pixels; 0 disables it."""
    erased_value: int | None
    """Value of erased pixels, 0 to 255."""
    label_noise: float | None
    """Label noise: the probability that a training sample's label is replaced by one drawn from all classes, for this sample in every epoch; evaluation keeps the true labels."""
    custom_augmentation: str | None
    """Custom transform of the loaders, after all others. (Order: random resized crop, random crop, flip, TrivialAugment, RandAugment, color jitter, grayscale, random erasing, Cutout, custom; then mixup or CutMix.)."""
    start: int | None
    """Index of the first batch, counted from the start of training [default: 0]."""
    epochs: int | None
    """End before the first batch of this epoch, counted from the start of training [default: no end]."""
    steps: int | None
    """End before the batch of this index, if that is earlier [default: no end]."""
    rank: int | None
    """Rank of this process, which gets its rows of each batch, 0 to world - 1 [default: all rows]."""
    world: int | None
    """How many processes share each batch."""
    loader_timeout: str | None
    """How long to wait when no loader is available, with its unit, as in 90s [default: 10m]."""
    tls_ca: str | os.PathLike[str] | None
    """Use TLS; trust loaders whose certificates are signed by a CA in this file (PEM)."""
    tls_cert: str | os.PathLike[str] | None
    """Client certificate, for loaders that ask for one (PEM)."""
    tls_key: str | os.PathLike[str] | None
    """Private key of the client certificate (PEM)."""
    auth_token_file: str | os.PathLike[str] | None
    """File with the bearer token that loaders ask for."""
    audit: int | None
    """Audit: fetch one in N batches, drawn at random, from two loaders and compare them [default: 0, none]."""
    audit_policy: str | None
    """When loaders contradict each other: continue without the one that a third shows to be wrong, or stop [default: continue]."""
