import errno
import json
import os
import pickle
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from artifex.data import CacheKind, create_data_loader
from artifex.data.cache import CachedReader, CacheWarning, cached_reader
from artifex.data.codecs.image import ImageCodec, RandomResizedCrop
from artifex.data.errors import ConfigError, DecodeError, UnknownNameError
from artifex.data.randomness import RecordRandom
from artifex.data.reader import ArrayReader, RecordReader, SubsetReader, slots
from artifex.data.samples import MappedReader
from artifex.data.types import ArraySpec
from cache_records import SIZE, Made, equal, read

ALL = np.arange(SIZE)


class Dataset:
    """A dataset around a reader of the tests."""

    def __init__(self, reader=None):
        self.made = reader or Made()

    def reader(self):
        return self.made


def settings_of(kind, tmp_path):
    return {"cache": kind, "cache_dir": tmp_path} if kind == "disk" else {"cache": kind}


def bits(batches):
    return [
        {name: v if isinstance(v, list) else np.asarray(v).tobytes() for name, v in b.items()}
        for b in batches
    ]


KINDS = pytest.mark.parametrize("kind", ["memory", "disk"])


# -- with a loader


@KINDS
@pytest.mark.parametrize("num_workers", [0, 1, 4])
def test_a_loader_gives_the_same_bits(tmp_path, kind, num_workers):
    dataset = Dataset()
    plain = create_data_loader(Dataset(), 7, seed=3, num_workers=num_workers)
    cached = create_data_loader(dataset, 7, seed=3, num_workers=num_workers, **settings_of(kind, tmp_path))
    for _ in range(3):
        assert bits(cached) == bits(plain)
    assert sorted(dataset.made.made) == list(range(SIZE))
    assert bits([cached.batch(4)]) == bits([plain.batch(4)])
    assert cached.plan == plain.plan and cached.spec == plain.spec


@KINDS
def test_with_and_without_a_cache_one_resumes_the_other(tmp_path, kind):
    plain = create_data_loader(Dataset(), 7, seed=3)
    cached = create_data_loader(Dataset(), 7, seed=3, **settings_of(kind, tmp_path))
    whole = bits(create_data_loader(Dataset(), 7, seed=3))
    for one, other in ((plain, cached), (cached, plain)):
        batches = iter(one)
        for _ in range(4):
            next(batches)
        other.restore(json.loads(json.dumps(one.state())))
        batches.close()
        assert bits(other) == whole[4:]
        one.restore(create_data_loader(Dataset(), 7, seed=3).state())
        other.restore(one.state())


@KINDS
def test_once_all_is_there_no_threads_are_made(tmp_path, kind, worker_threads):
    loader = create_data_loader(Dataset(), 16, **settings_of(kind, tmp_path))

    def threads_of_an_epoch():
        batches = iter(loader)
        next(batches)
        return len(worker_threads()), list(batches)

    assert threads_of_an_epoch()[0] > 0 and threads_of_an_epoch()[0] == 0
    assert "num_workers=0" in repr(loader)


def test_disk_serves_the_next_loader(tmp_path):
    first = bits(create_data_loader(Dataset(), 7, seed=3, cache=CacheKind.DISK, cache_dir=tmp_path))
    second = Dataset()
    loader = create_data_loader(second, 7, seed=3, cache="disk", cache_dir=tmp_path)
    assert bits(loader) == first and second.made.made == []


# -- what is random


@dataclass(frozen=True)
class Crops:
    spec = ArraySpec((), np.dtype(np.int32))
    is_random = True

    def decode(self, value, out, *, rng=None):
        out[...] = value if rng is None else rng.integers(1000)


def random_reader():
    return RecordReader([{"n": i} for i in range(9)], {"x": ("n", Crops())}, {}, {}, {"kind": "crops"})


def shift(sample, rng=None):
    return {"x": sample["x"] + (0 if rng is None else rng.integers(1, 1000).astype(np.int32))}


@KINDS
@pytest.mark.parametrize(
    "build",
    [
        random_reader,
        lambda: SubsetReader(random_reader(), 3, lambda places: places, {}),
        lambda: MappedReader(random_reader(), shift, random=False, version="1"),
        lambda: MappedReader(ArrayReader({"x": np.arange(9)}), shift, random=True, version="1"),
    ],
)
def test_what_is_random_while_training_is_refused(tmp_path, kind, build):
    settings = settings_of(kind, tmp_path)
    with pytest.raises(ConfigError, match="would repeat in every epoch .* random crop.* leave `cache` out"):
        cached_reader(build(), training=True, **settings)
    plain = cached_reader(build(), training=False, **settings)
    assert equal(read(plain, [2, 0]), read(build(), [2, 0]))


def test_a_random_read_passes_the_store_by(tmp_path):
    reader = cached_reader(random_reader(), "memory")
    numbers = np.arange(9)
    read(reader, numbers)
    random, out, expected = (
        RecordRandom(1, np.zeros(9, np.int64), numbers),
        slots(reader.spec, 9),
        slots(reader.spec, 9),
    )
    reader.read_into(numbers, out, random)
    random_reader().read_into(numbers, expected, random)
    assert equal(out, expected) and not equal(out, read(reader, numbers))
    assert reader.is_random


# -- what tells records from others


def test_a_mapped_dataset_needs_a_version_on_disk(tmp_path):
    base = ArrayReader({"x": np.arange(9)})
    with pytest.raises(ConfigError, match="without a `version=`"):
        cached_reader(MappedReader(base, shift, random=False, version=None), "disk", cache_dir=tmp_path)
    cached_reader(MappedReader(base, shift, random=False, version=None), "memory")


def calls_of(tmp_path, array, version):
    calls = []

    def double(sample):
        calls.append(int(sample["x"]))
        return {"y": 2 * sample["x"]}

    mapped = MappedReader(ArrayReader({"x": array}), double, random=False, version=version)
    calls.clear()
    got = read(cached_reader(mapped, "disk", cache_dir=tmp_path), np.arange(len(array)))
    assert np.array_equal(got["y"], 2 * array)
    return len(calls)


def test_another_version_or_one_other_number_is_computed_anew(tmp_path):
    array = np.arange(500)
    assert calls_of(tmp_path, array, "1") == 500
    assert calls_of(tmp_path, array, "1") == 0
    assert calls_of(tmp_path, array, "2") == 500
    other = array.copy()
    other[3] = 9  # a row that the fingerprint does not look at
    assert ArrayReader({"x": other}).fingerprint() == ArrayReader({"x": array}).fingerprint()
    assert calls_of(tmp_path, other, "1") == 500
    assert calls_of(tmp_path, array, "1") == 0


def test_items_need_a_stamp_on_disk(tmp_path):
    class Items:
        content = 1

        def __len__(self):
            return 5

        def __getitem__(self, index):
            return {"x": np.full(3, self.content * index, np.int32)}

    class Stamped(Items):
        def stamp(self):
            return f"content {self.content}"

    with pytest.raises(ConfigError, match=r"records of a Items cannot be kept on disk.*`stamp\(\) -> str`"):
        create_data_loader(Items(), 2, cache="disk", cache_dir=tmp_path)
    for content in (1, 2, 1):
        items = Stamped()
        items.content = content
        loader = create_data_loader(items, 5, shuffle=False, cache="disk", cache_dir=tmp_path)
        assert next(iter(loader))["x"][4, 0] == 4 * content
    loader = create_data_loader(Items(), 5, shuffle=False, cache="memory")
    assert bits(loader) == bits(loader)


class Nameless:
    spec = ArraySpec((), np.dtype(np.int32))
    is_random = False

    def decode(self, value, out, *, rng=None):
        out[...] = value


def test_a_codec_that_does_not_say_what_it_is(tmp_path):
    reader = RecordReader([{"n": 1}], {"x": ("n", Nameless())}, {}, {}, {})
    with pytest.raises(ConfigError, match="Nameless object .* make it a dataclass"):
        cached_reader(reader, "disk", cache_dir=tmp_path)


@dataclass(frozen=True, eq=False)
class Added:
    table: np.ndarray
    spec = ArraySpec((), np.dtype(np.int32))
    is_random = False

    def decode(self, value, out, *, rng=None):
        out[...] = value + self.table[1000]


@pytest.mark.parametrize("number", [7, 1 + 1e-12])
def test_all_of_an_array_in_a_codec_counts(tmp_path, number):
    """NumPy shows a large one in part only, and floats in eight digits."""
    one = np.ones(2000)
    other = one.copy()
    other[1000] = number
    stamps = {RecordReader([{"n": 1}], {"x": ("n", Added(t))}, {}, {}, {}).stamp() for t in (one, other)}
    assert len(stamps) == 2


def test_every_setting_of_a_codec_is_in_its_stamp(monkeypatch):
    codecs = [
        ImageCodec(8, 8),
        ImageCodec(8, 9),
        ImageCodec(8, 8, 1),
        ImageCodec(8, 8, fit="contain"),
        ImageCodec(8, 8, resample="nearest"),
        ImageCodec(8, 8, fill=1),
        ImageCodec(8, 8, crop=RandomResizedCrop()),
    ]
    assert len({codec.stamp() for codec in codecs}) == len(codecs)
    before = codecs[0].stamp()
    assert before == ImageCodec(8, 8).stamp()
    monkeypatch.setattr("artifex.data.codecs.image.metadata.version", lambda name: "99")
    assert before != codecs[0].stamp()


# -- images in a folder


@pytest.fixture
def folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 12, 3), np.uint8)
    for number, picture in enumerate(pixels):
        path = tmp_path / "photos" / f"größe-{number}.bmp"
        path.parent.mkdir(exist_ok=True)
        image.fromarray(picture).save(path)
    return tmp_path / "photos"


def photos(folder, **settings):
    from flax import nnx

    from artifex.generative_models.modalities import ImageModalityConfig
    from artifex.generative_models.modalities.image.datasets import ImageFolderDataset

    size = settings.pop("size", 8)
    config = ImageModalityConfig(height=size, width=size, augmentation="crop" in settings)
    return ImageFolderDataset(folder, config=config, rngs=nnx.Rngs(0), **settings)


def reads(dataset, tmp_path):
    """How many files are read for an epoch with the cache, whose bits are those without."""
    plain = bits(create_data_loader(dataset, 4, seed=1, training=False))
    source, count = dataset.reader().source, []
    kind = type(source)

    class Counting(kind):
        def __getitem__(self, index):
            count.append(index)
            return super().__getitem__(index)

    source.__class__ = Counting
    try:
        loader = create_data_loader(
            dataset, 4, seed=1, cache="disk", cache_dir=tmp_path / "cache", training=False, num_workers=0
        )
        assert bits(loader) == plain
    finally:
        source.__class__ = kind
    return len(count)


def test_a_changed_setting_or_file_is_never_served(folder, tmp_path):
    assert reads(photos(folder), tmp_path) == 6
    assert reads(photos(folder), tmp_path) == 0
    assert reads(photos(folder, fit="stretch"), tmp_path) == 6
    assert reads(photos(folder, size=9), tmp_path) == 6
    assert reads(photos(folder, crop=RandomResizedCrop()), tmp_path) == 6
    assert reads(photos(folder), tmp_path) == 0
    # The same name and length, other pixels: the fingerprint does not see it.
    before = photos(folder).reader().fingerprint()
    path = sorted(folder.iterdir())[2]
    data = bytearray(path.read_bytes())
    data[-100:] = bytes(100)
    time = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(time + 10**9, time + 10**9))
    assert photos(folder).reader().fingerprint() == before
    assert reads(photos(folder), tmp_path) == 6
    path.write_bytes(data[:-1] + b"\0\0")
    assert reads(photos(folder), tmp_path) == 6


def test_a_random_crop_is_refused_while_training(folder, tmp_path):
    with pytest.raises(ConfigError, match="random crop"):
        create_data_loader(photos(folder, crop=RandomResizedCrop()), 4, cache="memory")


# -- arguments and errors


def test_data_in_memory_are_left_as_they_are(tmp_path):
    reader = ArrayReader({"x": np.arange(9)})
    assert cached_reader(reader, "disk", cache_dir=tmp_path) is reader
    assert cached_reader(reader, "memory") is reader and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"cache": "ram"}, UnknownNameError, "'memory', 'disk'"),
        ({"cache_dir": "x"}, ConfigError, "`cache_dir` is 'x', .* `cache` 'disk' only"),
        ({"cache": "memory", "cache_dir": "x"}, ConfigError, "`cache` 'disk' only"),
        ({"cache_bytes": 5}, ConfigError, "`cache_bytes` is 5, .* 'memory' or 'disk' only"),
        ({"cache": "memory", "cache_bytes": 0}, ConfigError, "`cache_bytes` must be from 1"),
        ({"cache": "memory", "cache_bytes": 5}, ConfigError, "less than one record"),
    ],
)
def test_arguments(settings, error, message):
    with pytest.raises(error, match=message):
        create_data_loader(Dataset(), 4, **settings)


@KINDS
def test_an_error_is_that_of_the_record_and_nothing_is_kept_of_it(tmp_path, kind):
    class Bad(Made):
        bad = True

        def read_into(self, indices, out, random=None):
            if self.bad and 5 in indices:
                raise DecodeError("bad", record=5)
            super().read_into(indices, out)

    made = Bad()
    reader = cached_reader(made, **settings_of(kind, tmp_path))
    read(reader, [1])
    for _ in range(2):
        with pytest.raises(DecodeError, match="record 5: bad"):
            read(reader, [1, 5])
    made.bad = False
    assert equal(read(reader, [1, 5]), read(Made(), [1, 5]))


@KINDS
def test_threads_share_a_reader(tmp_path, kind):
    reader, truth, wrong = cached_reader(Made(), **settings_of(kind, tmp_path)), read(Made(), ALL), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            numbers = rng.integers(0, SIZE, 9)
            if not equal(read(reader, numbers), {name: a[numbers] for name, a in truth.items()}):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@KINDS
def test_it_can_be_sent_to_another_process(tmp_path, kind):
    reader = cached_reader(Made(), **settings_of(kind, tmp_path))
    read(reader, ALL)
    copy = pickle.loads(pickle.dumps(reader))
    assert isinstance(copy, CachedReader) and copy.fingerprint() == reader.fingerprint()
    assert len(pickle.dumps(reader)) < 10_000
    assert equal(read(copy, ALL), read(Made(), ALL))


def test_another_process_that_cannot_open_it_does_without(tmp_path, monkeypatch):
    sent = pickle.dumps(cached_reader(Made(), "disk", cache_dir=tmp_path))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("artifex.data.cache.disk.open_folder", full)
    with pytest.warns(CacheWarning, match="goes on without"):
        reader = pickle.loads(sent)
    assert equal(read(reader, ALL), read(Made(), ALL))
