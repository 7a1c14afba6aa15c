"""The cases, and who takes part in each, at the best setting that we know."""

from collections.abc import Callable
from functools import partial

from benchmarks import cases_of_sounds, cases_of_texts, checks, data, who
from benchmarks.registry import Case, Contender


def all_cases() -> list[Case]:
    """In the order of the page."""
    sizes = [(50_000, 32, 3, 128), (50_000, 32, 3, 1024), (60_000, 28, 1, 128)]
    return [
        *(_arrays(*size) for size in sizes),
        *(_device(*size) for size in sizes),
        _crops(),
        _small(),
        _cached(),
        *cases_of_texts.all_cases(),
        *cases_of_sounds.all_cases(),
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
            check=partial(checks.pixels, shape=(batch_size, side, side, channels)),
        )

    return case


_DATARAX = "`MemorySource(shuffle=True)`, which keeps a copy on the device; one stage"

_arrays = _in_memory(
    "arrays",
    "in memory",
    (
        who.hand("by hand: take, one jit", "by_hand:arrays", "one `np.take`, one compiled call"),
        who.hand(
            "by hand: take into a buffer",
            "by_hand:arrays",
            "the same, two aligned buffers in turn",
            reuse=True,
        ),
        who.hand("by hand: stack", "by_hand:stacked", "sample by sample, `np.stack`"),
        who.artifex("artifex", "of_artifex:arrays", "no settings"),
        who.grain(
            "grain: MapDataset", "of_grain:arrays", "`to_iter_dataset` before `batch`, no threads", threads=0
        ),
        who.grain("grain: MapDataset of rows", "of_grain:arrays_of_rows", "row numbers, gathered by hand"),
        who.grain("grain: DataLoader", "of_grain:arrays_by_loader", "`IndexSampler`, no workers", workers=0),
        who.torch("torch", "of_torch:arrays", "`__getitems__`, one thread", workers=0),
        who.torch("torch: 2 workers", "of_torch:arrays", "`__getitems__`, persistent workers", workers=2),
        who.tensorflow("tf.data", "of_tensorflow:arrays", "slices, AUTOTUNE", gather=False),
        who.tensorflow("tf.data: gather", "of_tensorflow:arrays", "row numbers, `tf.gather`", gather=True),
        who.datasets("HF datasets", "of_datasets:arrays", "flat lists, format numpy, `shuffle` each epoch"),
        who.jax_dataloader("jax-dataloader", "of_jax_dataloader:arrays", 'backend "jax"'),
        who.datarax("datarax", "of_datarax:arrays", _DATARAX, shuffle=True),
        who.datarax(
            "datarax: no shuffle", "of_datarax:arrays", "in order, which is less work", shuffle=False
        ),
        who.spdl("SPDL", "of_spdl:arrays", "row numbers in, one gather per batch in a thread"),
    ),
)

_device = _in_memory(
    "device",
    "on the device",
    (
        who.hand("by hand: gather on the device", "by_hand:on_device", "one compiled call"),
        who.artifex("artifex", "of_artifex:arrays", '`placement="device"`', placement="device"),
        who.datarax("datarax", "of_datarax:arrays", _DATARAX, shuffle=True),
        who.datarax(
            "datarax: no shuffle", "of_datarax:arrays", "in order, which is less work", shuffle=False
        ),
    ),
)


def _crops() -> Case:
    decode = partial(who.hand, function="by_hand:photographs", setting="two threads")
    decode_with_opencv = partial(
        who.hand, function="by_hand:photographs", setting="two threads", antialiased=False
    )
    return Case(
        name="jpeg-224",
        group="jpeg",
        title="JPEG files, a random part scaled to 224x224 and flipped, batch 64",
        item="image",
        items_per_batch=64,
        make=partial(data.photographs, side=224, batch_size=64, crop=True),
        check=partial(checks.pixels, shape=(64, 224, 224, 3)),
        contenders=(
            decode("by hand: simplejpeg, Pillow", decode="crop_with_pillow"),
            decode_with_opencv("by hand: simplejpeg, OpenCV", decode="crop_with_simplejpeg_opencv"),
            decode_with_opencv("by hand: OpenCV", decode="crop_with_opencv"),
            who.artifex("artifex", "of_artifex:photographs", "no settings"),
            who.artifex(
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
    decode = partial(who.hand, function="by_hand:photographs", setting=quarter)
    return Case(
        name="jpeg-64",
        group="jpeg",
        title="JPEG files squeezed to 64x64, batch 128",
        item="image",
        items_per_batch=128,
        make=partial(data.photographs, side=64, batch_size=128, crop=False),
        check=partial(checks.pixels, shape=(128, 64, 64, 3)),
        contenders=(
            decode("by hand: simplejpeg, Pillow", decode="small_with_pillow"),
            decode("by hand: simplejpeg, OpenCV", decode="small_with_simplejpeg_opencv"),
            decode("by hand: OpenCV", decode="small_with_opencv"),
            who.artifex("artifex", "of_artifex:photographs", '`fit="stretch"`'),
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
        who.grain("grain: MapDataset", files, f"{opencv}, `num_threads=2`", threads=2, **how),
        who.grain("grain: 2 processes", files, f"{opencv}, `mp_prefetch`", threads=1, processes=2, **how),
        who.grain("grain: DataLoader, 2 workers", loader, opencv, workers=2, **how),
        who.torch("torch", "of_torch:photographs", f"{opencv}, no workers", workers=0, **how),
        who.torch(
            "torch: 2 workers", "of_torch:photographs", f"{opencv}, persistent workers", workers=2, **how
        ),
        who.tensorflow("tf.data", "of_tensorflow:photographs", f"{fused}, AUTOTUNE", **how),
        who.datasets("HF datasets", "of_datasets:photographs", f"{opencv}, `with_transform`", **how),
        who.spdl("SPDL", "of_spdl:photographs", f"{opencv}, two threads", threads=2, **how),
        who.spdl("SPDL: batches", "of_spdl:photographs_by_batch", "a thread takes a batch", threads=2, **how),
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
        check=partial(checks.pixels, shape=(128, 64, 64, 3)),
        has_first_batch=False,
        contenders=(
            who.hand("by hand: take, one jit", "by_hand:cached", array),
            who.hand("by hand: take into a buffer", "by_hand:cached", array, reuse=True),
            who.artifex("artifex: memory", "of_artifex:cached", '`cache="memory"`', cache="memory"),
            who.artifex("artifex: disk", "of_artifex:cached", '`cache="disk"`', cache="disk"),
            who.artifex("artifex: array", "of_artifex:decoded", array),
        ),
    )


def _resume(percent: int) -> Case:
    return Case(
        name=f"resume-{percent}",
        group="resume",
        title=f"1,000,000 shuffled records: from a saved state at {percent} % to the next batch of 128",
        item="restore",
        items_per_batch=1,
        field="x",
        make=partial(data.place, share=percent / 100),
        warm_batches=1,
        least_batches=1,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: permutation", "by_hand:resume", "`np.random.permutation`, cut"),
            who.artifex("artifex", "of_artifex:resume", "`restore`"),
            who.grain("grain: MapDataset", "of_grain:resume", "`set_state`"),
            who.torch("torch", "of_torch:resume", "the sampler is run up to the place; nothing is read"),
            who.datasets("HF datasets", "of_datasets:resume", "`shuffle` anew, cut"),
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
            Contender("artifex: modalities", "artifex", who.MODALITIES, setting=f"`{who.MODALITIES}`"),
            *(Contender(name, "peer", module, place) for name, place, module in packages),
        ),
    )
