import pickle

import pytest

from artifex.data import errors
from artifex.data.errors import ArtifexError, DecodeError, ReadError, RecordError, UnknownNameError

TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ArtifexError)
}


@pytest.mark.parametrize("name", TREE)
def test_the_drawing_is_the_tree(name):
    assert f"{name} " in errors.__doc__ or f"{name}\n" in errors.__doc__
    line = next(line for line in errors.__doc__.splitlines() if line.strip("*+- ").split(" ")[0] == name)
    if "(also" in line:
        also = line.split("(also ")[1].split(")")[0].split(", ")
        assert {base.__name__ for base in TREE[name].__mro__} >= set(also)


def test_a_record_error_says_where():
    error = DecodeError("no image")
    assert str(error) == "no image"
    assert str(error.at(path="a/b.jpg", record=3)) == "record 3: a/b.jpg: no image"
    assert error.at(path="other", record=4).record == 3, "what is known stays"


@pytest.mark.parametrize("kind", [RecordError, ReadError, DecodeError, errors.TransformError])
def test_it_crosses_a_process_boundary_whole(kind):
    copy = pickle.loads(pickle.dumps(kind("cut short", path="x.png", record=7)))
    assert type(copy) is kind
    assert (copy.reason, copy.path, copy.record, str(copy)) == (
        "cut short",
        "x.png",
        7,
        "record 7: x.png: cut short",
    )


def test_a_key_error_is_shown_unquoted():
    assert str(UnknownNameError("unknown modality 'smell'")) == "unknown modality 'smell'"
