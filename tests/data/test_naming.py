import pickle

import numpy as np
import pytest

from artifex.data import create_data_loader, with_names
from artifex.data.errors import ConfigError, ConfigTypeError, MismatchError, ShapeError
from artifex.data.samples import IteratedDatasetWarning, reader_of

ITEMS = [(np.full(2, i, np.float32), i) for i in range(5)]


def test_a_batch_has_the_names():
    loader = create_data_loader(with_names(ITEMS, "images", "labels"), 5, shuffle=False)
    batch = loader.batch(0)
    assert set(batch) == {"images", "labels", "index"}
    assert batch["labels"].tolist() == [0, 1, 2, 3, 4] and batch["images"][3].tolist() == [3, 3]


def test_it_is_a_dataset_itself():
    named = with_names(ITEMS, "images", "labels")
    assert len(named) == 5 and named[2] == {"images": ITEMS[2][0], "labels": 2}
    assert repr(named) == "with_names(list, 'images', 'labels')"
    assert pickle.loads(pickle.dumps(named))[2]["labels"] == 2


def test_names_are_part_of_the_plan_and_the_dataset_beneath_is():
    one = reader_of(with_names(ITEMS, "images", "labels")).fingerprint()
    assert one["kind"] == "list" and one == reader_of(with_names(ITEMS, "images", "labels")).fingerprint()
    assert one != reader_of(with_names(ITEMS, "pictures", "labels")).fingerprint()


def test_what_can_only_be_iterated_has_names_too():
    class Stream:
        def __iter__(self):
            return iter(ITEMS)

    with pytest.warns(IteratedDatasetWarning, match=r"its 5 samples \(\d+ bytes\)"):
        named = with_names(Stream(), "images", "labels")
    assert named[3]["labels"] == 3 and reader_of(named).spec["images"].shape == (2,)


def test_a_record_of_another_length_is_told():
    with pytest.raises(MismatchError, match="record 0: it has 2 fields, and 3 are named"):
        reader_of(with_names(ITEMS, "a", "b", "c"))


def test_wrong_names_and_datasets():
    with pytest.raises(ConfigError, match="one name or more, each once, got \\(\\)"):
        with_names(ITEMS)
    with pytest.raises(ConfigError, match="each once, got \\('a', 'a'\\)"):
        with_names(ITEMS, "a", "a")
    with pytest.raises(ConfigTypeError, match="`names` must be strings, got 3"):
        with_names(ITEMS, "a", 3)
    with pytest.raises(ConfigTypeError, match="this dict have names already"):
        with_names({"x": [1]}, "a")
    with pytest.raises(ShapeError, match="names already: x"):
        reader_of(with_names([{"x": 1}], "a"))
    with pytest.raises(ConfigTypeError, match="a dataset needs"):
        with_names(3, "a")
