import inspect
import json
import sys

import pytest

from artifex.data.errors import ConfigError
from artifex.examples import docstrings
from artifex.examples.docstrings import find_modules, standard_library, texts_of, write_corpus

FILES = {
    "a.py": '"""Of a module."""\ndef f():\n    """Of a function.\n\n    Not.\n        Indented.\n    """\n',
    "b/c.py": 'class C:\n    """Of a class."""\n    async def m(self):\n        """Of a method: é."""\n',
    "b/again.py": '"""Of a module."""\nif True:\n    def g():\n        """Deep \\d inside."""\n',
    "pydoc_data/topics.py": 'topics = {"if": "The `if`\\n\\n   statement", "for": "Loops"}\n',
    "odd.py": "def broken(:\n",
    "half.py": '"""Half a pair: \\ud800."""\ndef f():\n    """   """\n',
    "nul.py": "x\0",
    "latin.py": b'# coding: latin-1\n"""\xe9."""\n',
    "test/test_a.py": '"""A test."""\n',
    "site-packages/p.py": '"""Of others."""\n',
}
TEXTS = [
    ("The `if`\n\n   statement", "pydoc_data/topics.py"),
    ("Loops", "pydoc_data/topics.py"),
    ("Of a module.", "a.py"),
    ("Of a function.\n\nNot.\n    Indented.", "a.py"),
    ("Deep \\d inside.", "b/again.py"),
    ("Of a class.", "b/c.py"),
    ("Of a method: é.", "b/c.py"),
    ("é.", "latin.py"),
]


@pytest.fixture
def library(tmp_path):
    root = tmp_path / "library"
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def lines(file):
    parsed = map(json.loads, file.read_text(encoding="utf-8").split("\n")[:-1])
    return [(line["text"], line["module"]) for line in parsed]


def test_each_text_is_there_once_in_order(library, tmp_path, monkeypatch):
    monkeypatch.setattr(docstrings, "_ONE_OF", 3)
    assert list(write_corpus(tmp_path / "out", library)) == [1, 2, 3, 4, 5, 6, 7, 8]
    held_out = TEXTS[2::3]
    assert lines(tmp_path / "out" / "val.jsonl") == held_out
    assert lines(tmp_path / "out" / "train.jsonl") == [text for text in TEXTS if text not in held_out]


def test_no_more_than_asked_for(library, tmp_path):
    done = list(write_corpus(tmp_path / "out", library, 3))
    assert done == [1, 2]  # the rest is not looked at
    assert lines(tmp_path / "out" / "train.jsonl") == TEXTS[:3]


def test_what_is_there_stays(library, tmp_path):
    list(write_corpus(tmp_path, library))
    (tmp_path / "train.jsonl").write_text("mine")
    assert list(write_corpus(tmp_path, library)) == [8]
    assert (tmp_path / "train.jsonl").read_text() == "mine"
    (tmp_path / "val.jsonl").unlink()
    list(write_corpus(tmp_path, library))
    assert lines(tmp_path / "train.jsonl") == TEXTS


def test_an_interrupted_write_is_made_good(library, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(docstrings.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(write_corpus(tmp_path, library))
    assert not (tmp_path / "train.jsonl").exists()
    list(write_corpus(tmp_path, library))
    assert lines(tmp_path / "train.jsonl") == TEXTS


def test_docstrings_of_a_real_module_are_those_that_python_has():
    import textwrap

    found = set(texts_of(standard_library(), docstrings.Path("textwrap.py")))
    functions = [textwrap.wrap, textwrap.dedent, textwrap.TextWrapper, textwrap.TextWrapper.wrap]
    assert {inspect.getdoc(thing) for thing in [textwrap, *functions]} <= found


def test_the_chapters_of_help_come_first_and_nothing_is_imported():
    library = standard_library()
    modules = find_modules(library)
    assert modules[0].as_posix() == "pydoc_data/topics.py"
    assert modules[1:] == sorted(modules[1:])
    before = set(sys.modules)
    topics = list(texts_of(library, modules[0]))
    assert set(sys.modules) == before
    assert any("The `if` statement" in text or 'The "if" statement' in text for text in topics)
    assert len(topics) > 50


def test_a_library_without_source_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no source of Python's library"):
        find_modules(tmp_path)
