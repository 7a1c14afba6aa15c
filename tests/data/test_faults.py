"""Bad records: masked in place, counted, written down, and the same ones for everybody."""

import gc
import hashlib
import json
import os
import time
import warnings
from dataclasses import replace
from multiprocessing import active_children
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from artifex.data import (
    BadRecordWarning,
    create_data_loader,
    known_good,
    read_quarantine,
    retry_quarantine,
)
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    StateError,
    TooManyBadRecordsError,
    TransformError,
)
from artifex.data.faults import (
    BadRecord,
    QuarantineFile,
    QuarantineWarning,
    is_same_source,
    quarantine_line,
    source_digest,
)
from artifex.data.samples import reader_of
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image.datasets import ImageFolderDataset
from process_items import Crashing, Exiting, Items, OfLengths

BAD = {3, 17, 18, 40, 59}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadRecordWarning)
        yield


def stream(loader):
    return [
        {n: v if isinstance(v, list) else np.asarray(v).tolist() for n, v in batch.items()}
        for batch in loader
    ]


def loader_of(dataset=None, **settings):
    settings = {"seed": 5, "on_error": "skip", **settings}
    return create_data_loader(Items(60, bad=BAD) if dataset is None else dataset, 8, **settings)


def test_bad_rows_are_masked_in_place_and_all_others_are_what_they_would_be():
    whole = stream(create_data_loader(Items(60), 8, seed=5))
    found = stream(loader_of(num_workers=0))
    for batch, clean in zip(found, whole, strict=True):
        assert batch["index"] == clean["index"]
        assert [number not in BAD for number in batch["index"]] == batch["valid"]
        for row, valid in enumerate(batch["valid"]):
            assert batch["x"][row] == (clean["x"][row] if valid else [0, 0, 0])
            assert batch["name"][row] == (clean["name"][row] if valid else "")
    assert sum(sum(batch["valid"]) for batch in found) == 60 - len(BAD)


@pytest.mark.parametrize(("worker", "num_workers"), [("thread", 1), ("thread", 4), ("process", 2)])
def test_any_number_of_workers_leaves_out_the_same(worker, num_workers):
    expected = stream(loader_of(num_workers=0))
    loader = loader_of(num_workers=num_workers, worker=worker)
    assert stream(loader) == expected
    assert {bad.record for bad in loader.bad_records} == BAD


def test_a_resumed_run_leaves_out_the_same():
    run = loader_of()
    batches = iter(run)
    [next(batches) for _ in range(3)]
    rest = stream(batches)
    again = loader_of(num_workers=2)
    again.restore({**run.state(), "epoch": 0, "step": 3})
    assert stream(again) == rest


def test_over_a_mesh_the_mask_is_global():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    sharded, alone = (loader_of(drop_last=True, **s) for s in ({"sharding": sharding}, {}))
    for one, other in zip(sharded, alone, strict=True):
        assert one["valid"].sharding == sharding
        np.testing.assert_array_equal(one["valid"], other["valid"])


def test_a_filled_up_batch_is_masked_twice():
    *_, end = loader_of(last="pad", shuffle=False)
    assert end["valid"].tolist() == [True, True, True, False, False, False, False, False]


def test_compact_batches_have_good_rows_alone():
    masked, compact = stream(loader_of()), stream(loader_of(bad_rows="compact", num_workers=2))
    for one, other in zip(masked, compact, strict=True):
        assert "valid" not in other
        for name in ("index", "x", "name"):
            assert other[name] == [v for v, ok in zip(one[name], one["valid"], strict=True) if ok]


def test_a_batch_of_bad_records_alone_is_empty():
    loader = loader_of(Items(16, bad=set(range(8))), shuffle=False, bad_rows="compact", max_errors=8)
    assert [batch["x"].shape for batch in loader] == [(0, 3), (8, 3)]


def test_compact_batches_compile_nothing_anew():
    traces = []

    def step(key, sample):
        traces.append(1)
        return sample

    list(loader_of(bad_rows="compact", transform=step))
    assert len(traces) == 1


@pytest.mark.parametrize("num_workers", [0, 3])
def test_too_many_end_the_run_with_a_summary(num_workers):
    with pytest.raises(TooManyBadRecordsError) as caught:
        stream(loader_of(max_errors=3, num_workers=num_workers))
    message = str(caught.value)
    assert "more than `max_errors` 3 allows" in message and "TransformError" in message
    assert message.count("broken") >= 4 and "`keep`" in message


def test_a_share_is_reckoned_over_an_epoch_of_a_small_set():
    early = Items(60, bad={0, 1, 2, 3, 4})
    assert len(stream(loader_of(early, shuffle=False, max_errors=5 / 60))) == 8
    with pytest.raises(TooManyBadRecordsError):
        stream(loader_of(early, shuffle=False, max_errors=4 / 60))


@pytest.mark.parametrize("most", [5, np.int64(5), np.float64(5 / 60), 5 / 60])
def test_each_epoch_may_have_as_many(most):
    loader = loader_of(max_errors=most)
    for _ in range(4):
        assert len(stream(loader)) == 8
    assert len(loader.bad_records) == 5


@pytest.mark.parametrize(
    ("most", "batches", "errors"), [(np.int64(4), 8, 5), (3, 6, 4), (1, 3, 3), (0, 1, 1)]
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_run_ends_at_the_batch_that_is_too_much(most, batches, errors, num_workers):
    """Of sixty records in order, eight a batch: 3 is in the first, 17 and 18 in the third, then 40 and 59."""
    found: list[object] = []
    with pytest.raises(
        TooManyBadRecordsError, match=f"^{errors} of {min(8 * batches, 60)} samples of this epoch"
    ):
        found.extend(loader_of(max_errors=most, shuffle=False, num_workers=num_workers))
    assert len(found) == batches - 1


@pytest.mark.parametrize("stop", range(8))
@pytest.mark.parametrize("most", [3, 3.5 / 60])
def test_a_run_that_is_resumed_ends_where_it_would_have_ended(most, stop):
    def until_the_end(loader, batches=()):
        found = list(batches)
        with pytest.raises(TooManyBadRecordsError) as caught:
            found.extend(np.asarray(batch["index"]).tolist() for batch in loader)
        return found, str(caught.value).split(" (")[0]

    whole, message = until_the_end(loader_of(max_errors=most, shuffle=False, num_workers=0))
    assert len(whole) == 5 and message.startswith("4 of 48 samples of this epoch are bad")
    first, rest = (loader_of(max_errors=most, shuffle=False, num_workers=2) for _ in range(2))
    batches = iter(first)
    begun = [np.asarray(next(batches)["index"]).tolist() for _ in range(min(stop, 5))]
    state = json.loads(json.dumps(first.state()))
    batches.close()
    assert len(json.dumps(state)) < 4096
    rest.restore(state)
    assert until_the_end(rest, begun) == (whole, message)


def test_counts_begin_anew_with_an_epoch_and_stay_out_of_single_batches():
    loader = loader_of(max_errors=5)
    list(loader)
    assert "bad" not in loader.state() and loader.state()["epoch"] == 1
    batches = iter(loader)
    next(batches)
    state = loader.state()
    assert state["bad"][1] == 8
    for _ in range(9):
        loader.batch(0)
    assert loader.state() == state


@pytest.mark.parametrize("bad", [[9, 8], [-1, 8], [1], None, "ab"])
def test_counts_that_are_none_are_damage(bad):
    loader = loader_of()
    with pytest.raises(StateError, match="the state is damaged"):
        loader.restore({**loader.state(), "bad": bad})


@pytest.mark.parametrize(("worker", "num_workers"), [("thread", 0), ("thread", 2), ("process", 2)])
def test_a_record_that_calls_exit_is_a_bad_one(worker, num_workers):
    loader = loader_of(Exiting(60, bad=BAD), worker=worker, num_workers=num_workers)
    assert sum(sum(batch["valid"]) for batch in stream(loader)) == 60 - len(BAD)
    assert all("SystemExit" in bad.reason for bad in loader.bad_records)
    loader.close()


def test_the_first_one_is_told():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream(loader_of())
    (warning,) = [w for w in caught if w.category is BadRecordWarning]
    assert "left out" in str(warning.message) and "loader.bad_records" in str(warning.message)


def test_raise_is_the_default_and_tells_the_earliest():
    with pytest.raises(TransformError, match=r"record 3: Items\[3\] failed"):
        stream(create_data_loader(Items(60, bad=BAD), 60, shuffle=False, num_workers=3))


# -- the file


@pytest.fixture
def pictures(tmp_path):
    """Twelve files: one of zero bytes, one cut short, one that is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (20, 20), (i * 20, 0, 0)).save(folder / f"{i:02}.jpg")
    (folder / "02.jpg").write_bytes(b"")
    (folder / "05.jpg").write_bytes((folder / "05.jpg").read_bytes()[:-50])
    (folder / "09.jpg").write_bytes(b"no picture")
    return folder


def folder(path):
    from flax import nnx

    from artifex.generative_models.modalities import ImageModalityConfig

    return ImageFolderDataset(path, config=ImageModalityConfig(height=8, width=8), rngs=nnx.Rngs(0))


def quarantined(dataset, file, **settings):
    settings = {"max_errors": 100, "seed": 1, **settings}
    return create_data_loader(dataset, 4, on_error="quarantine", quarantine=file, **settings)


def test_bad_files_are_written_down_once(pictures, tmp_path):
    file = tmp_path / "run" / "bad.jsonl"
    for _ in range(2):  # another run adds nothing
        loader = quarantined(folder(pictures), file)
        for _ in range(2):
            assert sum(int(batch["valid"].sum()) for batch in loader) == 9
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(line["record"] for line in lines) == [2, 5, 9]
    for line in lines:
        assert line["path"] == str(pictures / f"{line['record']:02}.jpg") and line["error"] == "DecodeError"
        content = (pictures / f"{line['record']:02}.jpg").read_bytes()
        assert line["digest"] == hashlib.sha256(content).hexdigest()
    assert sorted(bad.record for bad in read_quarantine(file)) == [2, 5, 9]


def test_files_that_were_mended_leave_the_quarantine(pictures, tmp_path):
    file = tmp_path / "bad.jsonl"
    list(quarantined(folder(pictures), file))
    list(quarantined(Items(30, bad={7}), file))
    Image.new("RGB", (20, 20)).save(pictures / "05.jpg")
    good, bad = retry_quarantine(file, folder(pictures))
    assert [one.record for one in good] == [5] and sorted(one.record for one in bad) == [2, 9]
    assert sorted(one.record for one in read_quarantine(file)) == [2, 7, 9]


def test_a_record_in_a_shape_of_its_own_is_tried_again_in_that(tmp_path):
    file, there = tmp_path / "bad.jsonl", tmp_path / "there"
    dataset = OfLengths(9, missing=(4, str(there)))
    loader = create_data_loader(dataset, 3, on_error="quarantine", quarantine=file, max_errors=0.5)
    with pytest.warns(BadRecordWarning):
        list(loader)
    assert [one.record for one in retry_quarantine(file, dataset)[1]] == [4]
    there.touch()
    good, bad = retry_quarantine(file, dataset)
    assert [one.record for one in good] == [4] and bad == [] and read_quarantine(file) == []


def test_known_bad_records_are_left_out_of_the_plan(pictures, tmp_path):
    file = tmp_path / "bad.jsonl"
    dataset = folder(pictures)
    loader = quarantined(dataset, file)
    list(loader)
    keep = known_good(file, dataset)
    assert np.flatnonzero(~keep).tolist() == [2, 5, 9]
    clean = create_data_loader(dataset, 4, keep=keep, seed=1)
    assert [len(batch["index"]) for batch in clean] == [4, 4, 1]
    with pytest.raises(StateError, match="another plan"):
        clean.restore(loader.state())


def test_a_record_that_crashes_its_process_is_tried_again_in_another(tmp_path):
    crashes, file = tmp_path / "crashes", tmp_path / "bad.jsonl"
    crashes.touch()
    dataset = Crashing(20, crashes)
    loader = quarantined(dataset, file, worker="process", num_workers=1)
    list(loader)
    loader.close()
    assert [(bad.record, bad.error) for bad in read_quarantine(file)] == [(5, "WorkerDiedError")]
    good, bad = retry_quarantine(file, dataset)
    assert good == [] and [one.record for one in bad] == [5]
    crashes.unlink()
    good, bad = retry_quarantine(file, dataset)
    assert [one.record for one in good] == [5] and bad == read_quarantine(file) == []
    gc.collect()  # a loader of a test before this one may be held by the traceback of an error that it expected
    patience = time.monotonic() + 10  # of a busy machine
    while left := [child for child in active_children() if child.name == "artifex-reader"]:
        assert time.monotonic() < patience, left
        time.sleep(0.05)


def test_lists_of_one_length_have_a_quarantine_each(tmp_path):
    file = tmp_path / "bad.jsonl"
    train, val = ([{"x": np.full(3, i + first, np.float32)} for i in range(40)] for first in (0, 1000))
    train[5] = train[7] = {"x": np.zeros(2, np.float32)}
    list(quarantined(train, file))
    assert len(read_quarantine(file)) == 2
    with pytest.warns(QuarantineWarning, match="none of the 2 records"):
        assert known_good(file, val).all()
    assert retry_quarantine(file, val) == ([], []) and len(read_quarantine(file)) == 2
    val[7] = {"x": np.zeros(2, np.float32)}
    list(quarantined(val, file))  # of one number, and another list
    assert [bad.record for bad in read_quarantine(file)].count(7) == 2
    # Where a few are mended it is still the same list.
    train[5] = {"x": np.ones(3, np.float32)}
    good, bad = retry_quarantine(file, train)
    assert [one.record for one in good] == [5] and [one.record for one in bad] == [7]
    assert np.flatnonzero(~known_good(file, train)).tolist() == [7]
    list(quarantined(train, file))
    assert [bad.record for bad in read_quarantine(file)].count(7) == 2


def test_half_of_the_sampled_records_may_have_been_mended():
    assert is_same_source("a", "a") and not is_same_source("a", "b")
    assert is_same_source("a.1.2.3.4", "a.1.2.x.y") and not is_same_source("a.1.2.3.4", "a.1.x.y.z")
    assert not is_same_source("b.1.2", "a.1.2") and not is_same_source("a", "a.1")


def test_files_that_are_none_are_told(tmp_path):
    with pytest.raises(ConfigError, match="is no quarantine"):
        read_quarantine(tmp_path / "none")
    (tmp_path / "other").write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match="line 1 of"):
        read_quarantine(tmp_path / "other")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="`quarantine`.*cannot be written"):
        quarantined(Items(8), tmp_path / "folder" if os.name == "posix" else "")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"on_error": "ignore"}, ConfigError.__mro__[1], "on_error"),
        ({"max_errors": -1}, ConfigError, "`max_errors` must be a count"),
        ({"max_errors": 1.5}, ConfigError, "`max_errors` must be a count"),
        ({"max_errors": "3"}, ConfigTypeError, "`max_errors` must be a count"),
        ({"max_errors": np.float32(1.5)}, ConfigError, "`max_errors` must be a count"),
        ({"max_errors": float("nan")}, ConfigError, "`max_errors` must be a count"),
        ({"max_errors": True}, ConfigTypeError, "`max_errors` must be a count"),
        ({"bad_rows": "drop"}, ConfigError.__mro__[1], "bad_rows"),
        (
            {"on_error": "quarantine", "quarantine": None},
            ConfigTypeError,
            "`quarantine` must be the path .* None",
        ),
        ({"on_error": "quarantine", "quarantine": ""}, ConfigTypeError, '`quarantine` .*on_error="skip"'),
        ({"on_error": "quarantine", "quarantine": 3}, ConfigTypeError, "`quarantine` must be the path .* 3"),
    ],
)
def test_what_the_settings_must_be(settings, error, message):
    with pytest.raises(error, match=message):
        loader_of(**settings)


def test_what_does_not_go_together():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    with pytest.raises(ConfigError, match="compact"):
        loader_of(bad_rows="compact", drop_last=True, sharding=(mesh, jax.sharding.PartitionSpec("data")))
    with pytest.raises(ConfigError, match="on_error"):
        create_data_loader({"x": np.zeros(8)}, 4, placement="device", on_error="skip")


LINE = {"source": "s", "record": 3, "path": None, "offset": None, "error": "E", "reason": "r", "digest": None}


@pytest.mark.parametrize("record", ["3", None, [3], 3.7, True, -1])
def test_a_record_number_in_a_quarantine_that_is_none_is_told(tmp_path, record):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE | {"record": record}) + "\n")
    with pytest.raises(
        ConfigError, match="line 1 of .* is no bad record: `record` must be a number of 0 or more"
    ):
        read_quarantine(path)


def test_blank_lines_and_what_later_releases_say_are_passed_over(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("\n" + json.dumps(LINE | {"colour": "red"}) + "\n\n")
    assert [bad.record for bad in read_quarantine(path)] == [3]


def test_a_last_line_without_an_end_gets_one(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE))
    QuarantineFile(path, "s").add(BadRecord(**LINE | {"record": 4}))
    assert [bad.record for bad in read_quarantine(path)] == [3, 4]


def test_a_quarantine_of_other_data_keeps_all_and_says_so(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE) + "\n")
    with pytest.warns(QuarantineWarning, match="none of the 1 records in .* is of this dataset"):
        assert known_good(path, {"x": np.arange(5)}).all()


def test_a_record_beyond_the_data_stays_in_the_quarantine(tmp_path):
    data = {"x": np.arange(5)}
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE | {"source": source_digest(reader_of(data)), "record": 3000}) + "\n")
    assert retry_quarantine(path, data) == ([], []) and len(read_quarantine(path)) == 1


def test_what_tells_a_source_is_no_size_of_a_file_however_deep_it_lies():
    def digest_of(of):
        return source_digest(SimpleNamespace(fingerprint=lambda: of))

    def folder_of(digest, count=5):
        return {"kind": "image_folder", "files": count, "digest": digest}

    for made in (
        lambda digest: folder_of(digest),
        lambda digest: {"kind": "buckets", "digest": digest, "of": folder_of(digest)},
        lambda digest: {"kind": "audio", "records": 5, "digest": digest},
        lambda digest: {"kind": "joined", "of": [folder_of(digest), folder_of(digest)]},
        lambda digest: {
            "kind": "subset",
            "of": {"kind": "buckets", "digest": digest, "of": folder_of(digest)},
        },
    ):
        assert digest_of(made("a")) == digest_of(made("b"))
    assert digest_of({"kind": "joined", "of": [folder_of("a")]}) != digest_of(
        {"kind": "joined", "of": [folder_of("a", 6)]}
    )


def test_bad_files_in_buckets_are_tried_again_when_one_was_mended(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 255, (20, 20 + 20 * (number % 2), 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "1.png").read_bytes()
    for name in ("1.png", "2.png"):
        file = tmp_path / name
        file.write_bytes(file.read_bytes()[:200])
    quarantine = tmp_path / "bad.jsonl"

    def images():
        config = ImageModalityConfig(height=16, width=16)
        return ImageFolderDataset(
            tmp_path, config=config, buckets=((16, 16), (16, 32)), labels=None, rngs=nnx.Rngs(0)
        )

    loader = create_data_loader(
        images(), 1, on_error="quarantine", quarantine=quarantine, max_errors=3, num_workers=0
    )
    with pytest.warns(BadRecordWarning):
        list(loader)
    (tmp_path / "1.png").write_bytes(whole)
    good, bad = retry_quarantine(quarantine, images())
    assert ([one.record for one in good], [one.record for one in bad]) == ([1], [2])
    assert known_good(quarantine, images()).tolist() == [True, True, False, True]


def test_what_is_written_down_during_a_retry_stays(tmp_path):
    file = tmp_path / "bad.jsonl"

    class Slow(Items):
        def __getitem__(self, number):
            if number == 3:
                with file.open("a") as more:
                    more.write(quarantine_line(replace(old, record=5)))
            return super().__getitem__(number)

    dataset = Slow(8)
    old = BadRecord(source_digest(reader_of(dataset)), 3, None, None, "ReadError", "gone", None)
    file.write_text(quarantine_line(old))
    good, bad = retry_quarantine(file, dataset)
    assert good == [old] and bad == [] and [one.record for one in read_quarantine(file)] == [5]
