"""The cases, and who takes part in each, at the best setting that we know."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import data
from benchmarks.registry import Case, Contender, Kind

MODALITIES = "artifex.generative_models.modalities"


def _who(kind: Kind, environment: str | None, *imports: str, before: str = "") -> Callable[..., Contender]:
    def contender(
        name: str, function: str, setting: str = "", *, antialiased: bool = True, **options: Any
    ) -> Contender:
        where = f"benchmarks.contenders.{function}"
        return Contender(name, kind, where, environment, imports, setting, antialiased, before, options)

    return contender


_hand = _who("hand", None)
_artifex = _who(
    "artifex",
    None,
    "artifex.data",
    f"{MODALITIES}.image.datasets",
    "flax.nnx",
    before="benchmarks.contenders.of_artifex:draw_a_key",
)
_grain = _who("peer", "grain", "grain")
_torch = _who("peer", "torch", "torch.utils.data")
_tensorflow = _who("peer", "tensorflow", "tensorflow")
_datasets = _who("peer", "datasets", "datasets")
_jax_dataloader = _who("peer", "jax-dataloader", "jax_dataloader")
_datarax = _who("peer", "datarax", "datarax", "datarax.operators", "datarax.sources")
_spdl = _who("peer", "spdl", "spdl.pipeline")


def all_cases() -> list[Case]:
    """In the order of the page."""
    sizes = [(50_000, 32, 3, 128), (50_000, 32, 3, 1024), (60_000, 28, 1, 128)]
    return [
        *(_arrays(*size) for size in sizes),
        *(_device(*size) for size in sizes),
        _crops(),
        _small(),
        _cached(),
        *(_resume(percent) for percent in (1, 50, 99)),
        _imports(),
    ]


def _in_memory(
    group: str, words: str, contenders: tuple[Contender, ...]
) -> Callable[[int, int, int, int], Case]:
    def case(count: int, side: int, channels: int, batch_size: int) -> Case:
        return Case(
            name=f"{group}-{side}-{batch_size}",
            group=group,
            title=f"{count:,} images of {side}x{side}x{channels} {words}, batch {batch_size:,}",
            item="image",
            items_per_batch=batch_size,
            make=partial(data.arrays, count=count, side=side, channels=channels, batch_size=batch_size),
            contenders=contenders,
            shape=(batch_size, side, side, channels),
        )

    return case


_DATARAX = "`MemorySource(shuffle=True)`, which keeps a copy on the device; one stage"

_arrays = _in_memory(
    "arrays",
    "in memory",
    (
        _hand("by hand: take, one jit", "by_hand:arrays", "one `np.take`, one compiled call"),
        _hand(
            "by hand: take into a buffer",
            "by_hand:arrays",
            "the same, two aligned buffers in turn",
            reuse=True,
        ),
        _hand("by hand: stack", "by_hand:stacked", "sample by sample, `np.stack`"),
        _artifex("artifex", "of_artifex:arrays", "no settings"),
        _grain(
            "grain: MapDataset", "of_grain:arrays", "`to_iter_dataset` before `batch`, no threads", threads=0
        ),
        _grain("grain: MapDataset of rows", "of_grain:arrays_of_rows", "row numbers, gathered by hand"),
        _grain("grain: DataLoader", "of_grain:arrays_by_loader", "`IndexSampler`, no workers", workers=0),
        _torch("torch", "of_torch:arrays", "`__getitems__`, one thread", workers=0),
        _torch("torch: 2 workers", "of_torch:arrays", "`__getitems__`, persistent workers", workers=2),
        _tensorflow("tf.data", "of_tensorflow:arrays", "slices, AUTOTUNE", gather=False),
        _tensorflow("tf.data: gather", "of_tensorflow:arrays", "row numbers, `tf.gather`", gather=True),
        _datasets("HF datasets", "of_datasets:arrays", "flat lists, format numpy, `shuffle` each epoch"),
        _jax_dataloader("jax-dataloader", "of_jax_dataloader:arrays", 'backend "jax"'),
        _datarax("datarax", "of_datarax:arrays", _DATARAX, shuffle=True),
        _datarax("datarax: no shuffle", "of_datarax:arrays", "in order, which is less work", shuffle=False),
        _spdl("SPDL", "of_spdl:arrays", "row numbers in, one gather per batch in a thread"),
    ),
)

_device = _in_memory(
    "device",
    "on the device",
    (
        _hand("by hand: gather on the device", "by_hand:on_device", "one compiled call"),
        _artifex("artifex", "of_artifex:arrays", '`placement="device"`', placement="device"),
        _datarax("datarax", "of_datarax:arrays", _DATARAX, shuffle=True),
        _datarax("datarax: no shuffle", "of_datarax:arrays", "in order, which is less work", shuffle=False),
    ),
)


def _crops() -> Case:
    decode = partial(_hand, function="by_hand:photographs", setting="two threads")
    decode_with_opencv = partial(
        _hand, function="by_hand:photographs", setting="two threads", antialiased=False
    )
    return Case(
        name="jpeg-224",
        group="jpeg",
        title="JPEG files, a random part scaled to 224x224 and flipped, batch 64",
        item="image",
        items_per_batch=64,
        make=partial(data.photographs, side=224, batch_size=64, crop=True),
        shape=(64, 224, 224, 3),
        contenders=(
            decode("by hand: simplejpeg, Pillow", decode="crop_with_pillow"),
            decode_with_opencv("by hand: simplejpeg, OpenCV", decode="crop_with_simplejpeg_opencv"),
            decode_with_opencv("by hand: OpenCV", decode="crop_with_opencv"),
            _artifex("artifex", "of_artifex:photographs", "no settings"),
            _artifex(
                "artifex: no filter",
                "of_artifex:photographs",
                "`antialias=False`",
                antialiased=False,
                antialias=False,
            ),
            *_picture_peers(antialiased=False),
        ),
    )


def _small() -> Case:
    quarter = "two threads, decoded at 1/4"
    decode = partial(_hand, function="by_hand:photographs", setting=quarter)
    return Case(
        name="jpeg-64",
        group="jpeg",
        title="JPEG files squeezed to 64x64, batch 128",
        item="image",
        items_per_batch=128,
        make=partial(data.photographs, side=64, batch_size=128, crop=False),
        shape=(128, 64, 64, 3),
        contenders=(
            decode("by hand: simplejpeg, Pillow", decode="small_with_pillow"),
            decode("by hand: simplejpeg, OpenCV", decode="small_with_simplejpeg_opencv"),
            decode("by hand: OpenCV", decode="small_with_opencv"),
            _artifex("artifex", "of_artifex:photographs", '`fit="stretch"`'),
            *_picture_peers(antialiased=True),
        ),
    )


def _picture_peers(*, antialiased: bool) -> tuple[Contender, ...]:
    """Those that read files; all but tf.data decode with the same function, by OpenCV."""
    how = {"antialiased": antialiased}
    small = "decoded at 1/4" if antialiased else "all of it decoded"
    opencv, fused = f"OpenCV, {small}", "`ratio=4`" if antialiased else "`decode_and_crop_jpeg`"
    files, loader = "of_grain:photographs", "of_grain:photographs_by_loader"
    return (
        _grain("grain: MapDataset", files, f"{opencv}, `num_threads=2`", threads=2, **how),
        _grain("grain: 2 processes", files, f"{opencv}, `mp_prefetch`", threads=1, processes=2, **how),
        _grain("grain: DataLoader, 2 workers", loader, opencv, workers=2, **how),
        _torch("torch", "of_torch:photographs", f"{opencv}, no workers", workers=0, **how),
        _torch("torch: 2 workers", "of_torch:photographs", f"{opencv}, persistent workers", workers=2, **how),
        _tensorflow("tf.data", "of_tensorflow:photographs", f"{fused}, AUTOTUNE", **how),
        _datasets("HF datasets", "of_datasets:photographs", f"{opencv}, `with_transform`", **how),
        _spdl("SPDL", "of_spdl:photographs", f"{opencv}, two threads", threads=2, **how),
        _spdl("SPDL: batches", "of_spdl:photographs_by_batch", "a thread takes a batch", threads=2, **how),
    )


def _cached() -> Case:
    array = "the decoded pictures as one array"
    return Case(
        name="cached-64",
        group="cached",
        title="JPEG files squeezed to 64x64, from the second epoch on, batch 128",
        item="image",
        items_per_batch=128,
        make=partial(data.decoded, side=64, batch_size=128),
        shape=(128, 64, 64, 3),
        has_first_batch=False,
        contenders=(
            _hand("by hand: take, one jit", "by_hand:cached", array),
            _hand("by hand: take into a buffer", "by_hand:cached", array, reuse=True),
            _artifex("artifex: memory", "of_artifex:cached", '`cache="memory"`', cache="memory"),
            _artifex("artifex: disk", "of_artifex:cached", '`cache="disk"`', cache="disk"),
            _artifex("artifex: array", "of_artifex:decoded", array),
        ),
    )


def _resume(percent: int) -> Case:
    return Case(
        name=f"resume-{percent}",
        group="resume",
        title=f"1,000,000 shuffled records: from a saved state at {percent} % to the next batch of 128",
        item="restore",
        items_per_batch=1,
        make=partial(data.place, share=percent / 100),
        warm_batches=1,
        least_batches=1,
        has_first_batch=False,
        contenders=(
            _hand("by hand: permutation", "by_hand:resume", "`np.random.permutation`, cut"),
            _artifex("artifex", "of_artifex:resume", "`restore`"),
            _grain("grain: MapDataset", "of_grain:resume", "`set_state`"),
            _torch("torch", "of_torch:resume", "the sampler is run up to the place; nothing is read"),
            _datasets("HF datasets", "of_datasets:resume", "`shuffle` anew, cut"),
        ),
    )


def _imports() -> Case:
    packages = [
        ("grain", "grain", "grain"),
        ("torch", "torch", "torch"),
        ("tensorflow", "tensorflow", "tensorflow"),
        ("HF datasets", "datasets", "datasets"),
        ("jax-dataloader", "jax-dataloader", "jax_dataloader"),
        ("datarax", "datarax", "datarax"),
        ("SPDL", "spdl", "spdl.pipeline"),
    ]
    return Case(
        name="imports",
        group="imports",
        title="Importing a package, in a fresh process",
        item="import",
        items_per_batch=1,
        make=lambda home: None,
        is_import=True,
        has_first_batch=False,
        contenders=(
            Contender("jax alone", "hand", "jax", setting="what every program here needs"),
            Contender("artifex.data", "artifex", "artifex.data"),
            Contender("artifex: modalities", "artifex", MODALITIES, setting=f"`{MODALITIES}`"),
            *(Contender(name, "peer", module, place) for name, place, module in packages),
        ),
    )
