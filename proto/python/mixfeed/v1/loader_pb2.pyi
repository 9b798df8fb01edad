from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Split(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLIT_UNSPECIFIED: _ClassVar[Split]
    SPLIT_TRAIN: _ClassVar[Split]
    SPLIT_TEST: _ClassVar[Split]

class Resize(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESIZE_UNSPECIFIED: _ClassVar[Resize]
    RESIZE_CENTER_CROP: _ClassVar[Resize]
    RESIZE_STRETCH: _ClassVar[Resize]
    RESIZE_LETTERBOX: _ClassVar[Resize]

class Remainder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REMAINDER_UNSPECIFIED: _ClassVar[Remainder]
    REMAINDER_KEEP: _ClassVar[Remainder]
    REMAINDER_DROP: _ClassVar[Remainder]

class MixingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MIXING_KIND_UNSPECIFIED: _ClassVar[MixingKind]
    MIXING_KIND_MIXUP: _ClassVar[MixingKind]
    MIXING_KIND_CUTMIX: _ClassVar[MixingKind]
    MIXING_KIND_MIXUP_OR_CUTMIX: _ClassVar[MixingKind]

class LambdaScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAMBDA_SCOPE_UNSPECIFIED: _ClassVar[LambdaScope]
    LAMBDA_SCOPE_SAMPLE: _ClassVar[LambdaScope]
    LAMBDA_SCOPE_BATCH: _ClassVar[LambdaScope]

class PartnerSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTNER_SOURCE_UNSPECIFIED: _ClassVar[PartnerSource]
    PARTNER_SOURCE_DATASET: _ClassVar[PartnerSource]
    PARTNER_SOURCE_BATCH: _ClassVar[PartnerSource]

class PixelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_TYPE_UNSPECIFIED: _ClassVar[PixelType]
    PIXEL_TYPE_U8: _ClassVar[PixelType]
    PIXEL_TYPE_F32: _ClassVar[PixelType]

class PixelLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_LAYOUT_UNSPECIFIED: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_NHWC: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_NCHW: _ClassVar[PixelLayout]

class FailureReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_REASON_UNSPECIFIED: _ClassVar[FailureReason]
    FAILURE_REASON_DATA_LOSS: _ClassVar[FailureReason]
    FAILURE_REASON_INTERNAL: _ClassVar[FailureReason]
    FAILURE_REASON_UNAVAILABLE: _ClassVar[FailureReason]
    FAILURE_REASON_CHANGED: _ClassVar[FailureReason]
SPLIT_UNSPECIFIED: Split
SPLIT_TRAIN: Split
SPLIT_TEST: Split
RESIZE_UNSPECIFIED: Resize
RESIZE_CENTER_CROP: Resize
RESIZE_STRETCH: Resize
RESIZE_LETTERBOX: Resize
REMAINDER_UNSPECIFIED: Remainder
REMAINDER_KEEP: Remainder
REMAINDER_DROP: Remainder
MIXING_KIND_UNSPECIFIED: MixingKind
MIXING_KIND_MIXUP: MixingKind
MIXING_KIND_CUTMIX: MixingKind
MIXING_KIND_MIXUP_OR_CUTMIX: MixingKind
LAMBDA_SCOPE_UNSPECIFIED: LambdaScope
LAMBDA_SCOPE_SAMPLE: LambdaScope
LAMBDA_SCOPE_BATCH: LambdaScope
PARTNER_SOURCE_UNSPECIFIED: PartnerSource
PARTNER_SOURCE_DATASET: PartnerSource
PARTNER_SOURCE_BATCH: PartnerSource
PIXEL_TYPE_UNSPECIFIED: PixelType
PIXEL_TYPE_U8: PixelType
PIXEL_TYPE_F32: PixelType
PIXEL_LAYOUT_UNSPECIFIED: PixelLayout
PIXEL_LAYOUT_NHWC: PixelLayout
PIXEL_LAYOUT_NCHW: PixelLayout
FAILURE_REASON_UNSPECIFIED: FailureReason
FAILURE_REASON_DATA_LOSS: FailureReason
FAILURE_REASON_INTERNAL: FailureReason
FAILURE_REASON_UNAVAILABLE: FailureReason
FAILURE_REASON_CHANGED: FailureReason

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("dataset", "algorithm_version", "algorithm_fingerprint", "limits", "workers", "open_streams", "release", "instance_id")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_VERSION_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    dataset: DatasetDescription
    algorithm_version: int
    algorithm_fingerprint: bytes
    limits: Limits
    workers: int
    open_streams: int
    release: str
    instance_id: bytes
    def __init__(self, dataset: _Optional[_Union[DatasetDescription, _Mapping]] = ..., algorithm_version: _Optional[int] = ..., algorithm_fingerprint: _Optional[bytes] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., workers: _Optional[int] = ..., open_streams: _Optional[int] = ..., release: _Optional[str] = ..., instance_id: _Optional[bytes] = ...) -> None: ...

class DatasetDescription(_message.Message):
    __slots__ = ("name", "digest", "classes", "image", "splits", "whole_digest", "bad_records", "bad_record_examples", "sizes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    WHOLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BAD_RECORDS_FIELD_NUMBER: _ClassVar[int]
    BAD_RECORD_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: bytes
    classes: _containers.RepeatedScalarFieldContainer[str]
    image: ImageShape
    splits: _containers.RepeatedCompositeFieldContainer[SplitDescription]
    whole_digest: bytes
    bad_records: int
    bad_record_examples: _containers.RepeatedCompositeFieldContainer[BadRecord]
    sizes: ImageSizes
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[bytes] = ..., classes: _Optional[_Iterable[str]] = ..., image: _Optional[_Union[ImageShape, _Mapping]] = ..., splits: _Optional[_Iterable[_Union[SplitDescription, _Mapping]]] = ..., whole_digest: _Optional[bytes] = ..., bad_records: _Optional[int] = ..., bad_record_examples: _Optional[_Iterable[_Union[BadRecord, _Mapping]]] = ..., sizes: _Optional[_Union[ImageSizes, _Mapping]] = ...) -> None: ...

class ImageSizes(_message.Message):
    __slots__ = ("min_height", "min_width", "max_height", "max_width")
    MIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MIN_WIDTH_FIELD_NUMBER: _ClassVar[int]
    MAX_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_FIELD_NUMBER: _ClassVar[int]
    min_height: int
    min_width: int
    max_height: int
    max_width: int
    def __init__(self, min_height: _Optional[int] = ..., min_width: _Optional[int] = ..., max_height: _Optional[int] = ..., max_width: _Optional[int] = ...) -> None: ...

class BadRecord(_message.Message):
    __slots__ = ("split", "sample", "record", "reason")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    split: Split
    sample: int
    record: str
    reason: str
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., sample: _Optional[int] = ..., record: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SplitDescription(_message.Message):
    __slots__ = ("split", "samples", "left_out")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    split: Split
    samples: int
    left_out: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., samples: _Optional[int] = ..., left_out: _Optional[_Iterable[int]] = ...) -> None: ...

class ImageShape(_message.Message):
    __slots__ = ("height", "width", "channels")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    channels: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_batch_size", "max_batch_bytes", "max_wanted", "max_indices_per_request", "max_message_bytes")
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_WANTED_FIELD_NUMBER: _ClassVar[int]
    MAX_INDICES_PER_REQUEST_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_batch_size: int
    max_batch_bytes: int
    max_wanted: int
    max_indices_per_request: int
    max_message_bytes: int
    def __init__(self, max_batch_size: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., max_wanted: _Optional[int] = ..., max_indices_per_request: _Optional[int] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...

class StreamSpec(_message.Message):
    __slots__ = ("split", "limit", "seed", "batch_size", "remainder", "shuffle", "mixing", "shard", "pixel_type", "pixel_layout", "augmentation", "output", "sample_ids", "label_noise", "mixing_schedule")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    REMAINDER_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_FIELD_NUMBER: _ClassVar[int]
    MIXING_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    PIXEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    PIXEL_LAYOUT_FIELD_NUMBER: _ClassVar[int]
    AUGMENTATION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    LABEL_NOISE_FIELD_NUMBER: _ClassVar[int]
    MIXING_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    split: Split
    limit: int
    seed: int
    batch_size: int
    remainder: Remainder
    shuffle: bool
    mixing: Mixing
    shard: RowShard
    pixel_type: PixelType
    pixel_layout: PixelLayout
    augmentation: Augmentation
    output: Output
    sample_ids: bool
    label_noise: float
    mixing_schedule: _containers.RepeatedCompositeFieldContainer[MixingChange]
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., limit: _Optional[int] = ..., seed: _Optional[int] = ..., batch_size: _Optional[int] = ..., remainder: _Optional[_Union[Remainder, str]] = ..., shuffle: _Optional[bool] = ..., mixing: _Optional[_Union[Mixing, _Mapping]] = ..., shard: _Optional[_Union[RowShard, _Mapping]] = ..., pixel_type: _Optional[_Union[PixelType, str]] = ..., pixel_layout: _Optional[_Union[PixelLayout, str]] = ..., augmentation: _Optional[_Union[Augmentation, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., sample_ids: _Optional[bool] = ..., label_noise: _Optional[float] = ..., mixing_schedule: _Optional[_Iterable[_Union[MixingChange, _Mapping]]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("height", "width", "resize", "resize_side", "fill_value", "scaled_decoding")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_SIDE_FIELD_NUMBER: _ClassVar[int]
    FILL_VALUE_FIELD_NUMBER: _ClassVar[int]
    SCALED_DECODING_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    resize: Resize
    resize_side: int
    fill_value: int
    scaled_decoding: bool
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., resize: _Optional[_Union[Resize, str]] = ..., resize_side: _Optional[int] = ..., fill_value: _Optional[int] = ..., scaled_decoding: _Optional[bool] = ...) -> None: ...

class Augmentation(_message.Message):
    __slots__ = ("crop_padding", "flip_probability", "resized_crop", "trivial_augment", "color_jitter", "random_erasing", "cutout_size", "erased_value", "custom", "grayscale_probability", "rand_augment")
    CROP_PADDING_FIELD_NUMBER: _ClassVar[int]
    FLIP_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    RESIZED_CROP_FIELD_NUMBER: _ClassVar[int]
    TRIVIAL_AUGMENT_FIELD_NUMBER: _ClassVar[int]
    COLOR_JITTER_FIELD_NUMBER: _ClassVar[int]
    RANDOM_ERASING_FIELD_NUMBER: _ClassVar[int]
    CUTOUT_SIZE_FIELD_NUMBER: _ClassVar[int]
    ERASED_VALUE_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_FIELD_NUMBER: _ClassVar[int]
    GRAYSCALE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    RAND_AUGMENT_FIELD_NUMBER: _ClassVar[int]
    crop_padding: int
    flip_probability: float
    resized_crop: ResizedCrop
    trivial_augment: bool
    color_jitter: ColorJitter
    random_erasing: RandomErasing
    cutout_size: int
    erased_value: int
    custom: CustomAugmentation
    grayscale_probability: float
    rand_augment: RandAugment
    def __init__(self, crop_padding: _Optional[int] = ..., flip_probability: _Optional[float] = ..., resized_crop: _Optional[_Union[ResizedCrop, _Mapping]] = ..., trivial_augment: _Optional[bool] = ..., color_jitter: _Optional[_Union[ColorJitter, _Mapping]] = ..., random_erasing: _Optional[_Union[RandomErasing, _Mapping]] = ..., cutout_size: _Optional[int] = ..., erased_value: _Optional[int] = ..., custom: _Optional[_Union[CustomAugmentation, _Mapping]] = ..., grayscale_probability: _Optional[float] = ..., rand_augment: _Optional[_Union[RandAugment, _Mapping]] = ...) -> None: ...

class CustomAugmentation(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ResizedCrop(_message.Message):
    __slots__ = ("min_area", "max_area", "min_ratio", "max_ratio")
    MIN_AREA_FIELD_NUMBER: _ClassVar[int]
    MAX_AREA_FIELD_NUMBER: _ClassVar[int]
    MIN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_RATIO_FIELD_NUMBER: _ClassVar[int]
    min_area: float
    max_area: float
    min_ratio: float
    max_ratio: float
    def __init__(self, min_area: _Optional[float] = ..., max_area: _Optional[float] = ..., min_ratio: _Optional[float] = ..., max_ratio: _Optional[float] = ...) -> None: ...

class RandAugment(_message.Message):
    __slots__ = ("num_ops", "magnitude")
    NUM_OPS_FIELD_NUMBER: _ClassVar[int]
    MAGNITUDE_FIELD_NUMBER: _ClassVar[int]
    num_ops: int
    magnitude: int
    def __init__(self, num_ops: _Optional[int] = ..., magnitude: _Optional[int] = ...) -> None: ...

class ColorJitter(_message.Message):
    __slots__ = ("brightness", "contrast", "saturation", "hue")
    BRIGHTNESS_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    SATURATION_FIELD_NUMBER: _ClassVar[int]
    HUE_FIELD_NUMBER: _ClassVar[int]
    brightness: float
    contrast: float
    saturation: float
    hue: float
    def __init__(self, brightness: _Optional[float] = ..., contrast: _Optional[float] = ..., saturation: _Optional[float] = ..., hue: _Optional[float] = ...) -> None: ...

class RandomErasing(_message.Message):
    __slots__ = ("probability", "min_area", "max_area", "min_ratio", "max_ratio")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MIN_AREA_FIELD_NUMBER: _ClassVar[int]
    MAX_AREA_FIELD_NUMBER: _ClassVar[int]
    MIN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_RATIO_FIELD_NUMBER: _ClassVar[int]
    probability: float
    min_area: float
    max_area: float
    min_ratio: float
    max_ratio: float
    def __init__(self, probability: _Optional[float] = ..., min_area: _Optional[float] = ..., max_area: _Optional[float] = ..., min_ratio: _Optional[float] = ..., max_ratio: _Optional[float] = ...) -> None: ...

class Mixing(_message.Message):
    __slots__ = ("kind", "alpha", "probability", "lambda_scope", "partner_source", "cutmix_alpha", "switch_probability")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LAMBDA_SCOPE_FIELD_NUMBER: _ClassVar[int]
    PARTNER_SOURCE_FIELD_NUMBER: _ClassVar[int]
    CUTMIX_ALPHA_FIELD_NUMBER: _ClassVar[int]
    SWITCH_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    kind: MixingKind
    alpha: float
    probability: float
    lambda_scope: LambdaScope
    partner_source: PartnerSource
    cutmix_alpha: float
    switch_probability: float
    def __init__(self, kind: _Optional[_Union[MixingKind, str]] = ..., alpha: _Optional[float] = ..., probability: _Optional[float] = ..., lambda_scope: _Optional[_Union[LambdaScope, str]] = ..., partner_source: _Optional[_Union[PartnerSource, str]] = ..., cutmix_alpha: _Optional[float] = ..., switch_probability: _Optional[float] = ...) -> None: ...

class MixingChange(_message.Message):
    __slots__ = ("epoch", "mixing")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MIXING_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    mixing: Mixing
    def __init__(self, epoch: _Optional[int] = ..., mixing: _Optional[_Union[Mixing, _Mapping]] = ...) -> None: ...

class RowShard(_message.Message):
    __slots__ = ("rank", "world")
    RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_FIELD_NUMBER: _ClassVar[int]
    rank: int
    world: int
    def __init__(self, rank: _Optional[int] = ..., world: _Optional[int] = ...) -> None: ...

class StreamBatchesRequest(_message.Message):
    __slots__ = ("open", "request")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    open: StreamOpen
    request: BatchRequest
    def __init__(self, open: _Optional[_Union[StreamOpen, _Mapping]] = ..., request: _Optional[_Union[BatchRequest, _Mapping]] = ...) -> None: ...

class StreamOpen(_message.Message):
    __slots__ = ("spec", "spec_digest", "run_id", "expected_dataset_digest", "expected_algorithm_fingerprint", "accepts_parts", "accepts_progress")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_DATASET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ALGORITHM_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_PARTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    spec: StreamSpec
    spec_digest: bytes
    run_id: str
    expected_dataset_digest: bytes
    expected_algorithm_fingerprint: bytes
    accepts_parts: bool
    accepts_progress: bool
    def __init__(self, spec: _Optional[_Union[StreamSpec, _Mapping]] = ..., spec_digest: _Optional[bytes] = ..., run_id: _Optional[str] = ..., expected_dataset_digest: _Optional[bytes] = ..., expected_algorithm_fingerprint: _Optional[bytes] = ..., accepts_parts: _Optional[bool] = ..., accepts_progress: _Optional[bool] = ...) -> None: ...

class BatchRequest(_message.Message):
    __slots__ = ("wanted", "withdrawn")
    WANTED_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    wanted: _containers.RepeatedScalarFieldContainer[int]
    withdrawn: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, wanted: _Optional[_Iterable[int]] = ..., withdrawn: _Optional[_Iterable[int]] = ...) -> None: ...

class StreamBatchesResponse(_message.Message):
    __slots__ = ("opened", "batch", "failure", "part", "progress")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    opened: StreamOpened
    batch: Batch
    failure: BatchFailure
    part: BatchPart
    progress: Progress
    def __init__(self, opened: _Optional[_Union[StreamOpened, _Mapping]] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., failure: _Optional[_Union[BatchFailure, _Mapping]] = ..., part: _Optional[_Union[BatchPart, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("index", "rows_done", "rows")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ROWS_DONE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    index: int
    rows_done: int
    rows: int
    def __init__(self, index: _Optional[int] = ..., rows_done: _Optional[int] = ..., rows: _Optional[int] = ...) -> None: ...

class StreamOpened(_message.Message):
    __slots__ = ("samples_per_epoch", "batches_per_epoch", "image", "window_batches", "instance_id")
    SAMPLES_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    BATCHES_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BATCHES_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    samples_per_epoch: int
    batches_per_epoch: int
    image: ImageShape
    window_batches: int
    instance_id: bytes
    def __init__(self, samples_per_epoch: _Optional[int] = ..., batches_per_epoch: _Optional[int] = ..., image: _Optional[_Union[ImageShape, _Mapping]] = ..., window_batches: _Optional[int] = ..., instance_id: _Optional[bytes] = ...) -> None: ...

class BatchPart(_message.Message):
    __slots__ = ("index", "pixels", "offset")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    index: int
    pixels: bytes
    offset: int
    def __init__(self, index: _Optional[int] = ..., pixels: _Optional[bytes] = ..., offset: _Optional[int] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("index", "pixels", "labels", "partner_labels", "lambdas", "checksum", "samples")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PARTNER_LABELS_FIELD_NUMBER: _ClassVar[int]
    LAMBDAS_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    index: int
    pixels: bytes
    labels: bytes
    partner_labels: bytes
    lambdas: bytes
    checksum: int
    samples: bytes
    def __init__(self, index: _Optional[int] = ..., pixels: _Optional[bytes] = ..., labels: _Optional[bytes] = ..., partner_labels: _Optional[bytes] = ..., lambdas: _Optional[bytes] = ..., checksum: _Optional[int] = ..., samples: _Optional[bytes] = ...) -> None: ...

class BatchFailure(_message.Message):
    __slots__ = ("index", "reason", "message")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: FailureReason
    message: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[_Union[FailureReason, str]] = ..., message: _Optional[str] = ...) -> None: ...
