"""Rules that a machine can keep: what is public, how things look, what stands nowhere."""

import ast
import importlib
import inspect
import os
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from package_modules import MODULES, ROOT, defined_in, path_of, public, tree

# What a new public name must be added to.
PUBLIC = {
    "artifex": {"__version__"},
    "artifex.data": {
        "ArraySpec",
        "ArtifexError",
        "BadRecord",
        "BadRecordWarning",
        "CacheEntry",
        "CacheKind",
        "CacheWarning",
        "ConfigError",
        "DataLoader",
        "DecodeError",
        "LoaderCheckpointHandler",
        "LoaderRestore",
        "LoaderSave",
        "LoaderStats",
        "ReadError",
        "RecordError",
        "Registry",
        "ShapeError",
        "Split",
        "StateError",
        "as_grain_source",
        "batch_level",
        "cache_info",
        "clear_cache",
        "create_data_loader",
        "errors",
        "PackedReader",
        "PaddedReader",
        "WindowReader",
        "TokenArrays",
        "Packing",
        "pack_best_fit",
        "pack_concat",
        "padded_to_longest",
        "length_buckets",
        "bucket_edges",
        "known_good",
        "open_text",
        "open_tokens",
        "read_quarantine",
        "retry_quarantine",
        "with_names",
    },
    "artifex.data.audio": {
        "AudioReader",
        "AudioWindows",
        "LengthsNotKeptWarning",
        "audio_reader",
        "read_lengths",
    },
    "artifex.data.codecs": {"Codec"},
    "artifex.data.codecs.audio": {
        "AudioCodec",
        "AudioCrop",
        "AudioFormat",
        "AudioInfo",
        "AudioLimits",
        "AudioPad",
        "ClippedWarning",
        "Clip",
        "ResampleQuality",
        "Waveform",
        "load_audio_file",
        "read_audio_info",
        "save_audio_file",
    },
    "artifex.data.tokenizers": {"SpecialTokens", "Tokenizer"},
    "artifex.data.processes": {"ProcessPool"},
    "artifex.data.cache": {
        "CacheEntry",
        "CacheKind",
        "CacheWarning",
        "CachedReader",
        "cache_info",
        "cached_reader",
        "clear_cache",
    },
    "artifex.data.plan": {
        "Arranged",
        "Arrangement",
        "Balanced",
        "Bucketed",
        "Drawn",
        "Kept",
        "LastBatch",
        "Listed",
        "Mixed",
        "Plan",
        "Repeated",
        "Rows",
        "arrange",
        "last_batch",
    },
    "artifex.data.sources": {"BatchSource", "Source"},
    "artifex.data.sources.audio": {
        "AUDIO_SUFFIXES",
        "AudioSource",
        "audio_folder",
        "audio_manifest",
        "librispeech",
        "vctk",
    },
    "artifex.data.sources.text": {"TextFormat", "TextSource", "Unit", "open_text"},
    "artifex.examples": set(),
    "artifex.generative_models": set(),
    "artifex.generative_models.core": set(),
    "artifex.generative_models.modalities": {
        "AudioModality",
        "AudioModalityConfig",
        "SpectrogramType",
        "BaseDataset",
        "BaseModalityConfig",
        "BaseModalityImplementation",
        "BaseProcessor",
        "ImageModality",
        "ImageModalityConfig",
        "ImageRepresentation",
        "MixedDataset",
        "Modality",
        "RecordDataset",
        "Subset",
        "TextModality",
        "TextParams",
        "ValueRange",
        "collate",
        "create_modality",
        "get_modality",
        "list_modalities",
        "register_modality",
        "split_dataset",
    },
    "artifex.generative_models.modalities.audio": {"Waveform", "load_audio_file", "save_audio_file"},
    "artifex.generative_models.modalities.image": set(),
    "artifex.generative_models.modalities.text": set(),
    "artifex.testing": {"CodecContract", "SourceContract", "TokenizerContract"},
}


# -- what is public


def exported(name: str) -> set[str]:
    """The public names of a package: what its `__init__` lists, at once or on first use."""
    package = importlib.import_module(name)
    names = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {a.asname for a in node.names if a.asname and a.asname == a.name}
    return names | {n for n in ("__version__",) if hasattr(package, n)} | set(getattr(package, "__all__", ()))


@pytest.mark.parametrize("name", [m for m in MODULES if path_of(m).name == "__init__.py"])
def test_public_names_are_the_listed_ones(name: str):
    defined = {node.name for node in defined_in(name) if public(node.name)}
    assert exported(name) | defined == PUBLIC.get(name), "write it into `PUBLIC` above"


@pytest.mark.parametrize(("package", "name"), [(p, n) for p, names in PUBLIC.items() for n in sorted(names)])
def test_a_public_name_can_be_imported(package: str, name: str):
    module = importlib.import_module(package)
    assert getattr(module, name) is not None
    if name in exported(package) and not name.startswith("__"):
        assert name in dir(module)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="create_data_loadr"):
        importlib.import_module("artifex.data").create_data_loadr  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_empty(name: str):
    doc = ast.get_docstring(tree(name))
    assert doc, "the first line of a file says what its idea is"
    assert doc.splitlines()[0].rstrip().endswith((".", ":")), doc.splitlines()[0]
    if path_of(name).name != "__init__.py":
        assert len(tree(name).body) > 1, "nothing but a docstring"


# -- what a function looks like


def documented(name: str) -> list[tuple[str, str | None]]:
    """(name, docstring) of each public function and class of a module, and of each method that has one.

    A method that fills in a protocol's has its meaning there.
    """
    things = [(n.name, ast.get_docstring(n)) for n in defined_in(name) if public(n.name)]
    methods = [
        (f"{c.name}.{m.name}", ast.get_docstring(m))
        for c in defined_in(name)
        if isinstance(c, ast.ClassDef) and public(c.name)
        for m in c.body
        if isinstance(m, ast.FunctionDef)
    ]
    return things + [(thing, doc) for thing, doc in methods if doc is not None]


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_says_what_it_does(name: str):
    for thing, doc in documented(name):
        assert doc, f"{thing} has no docstring"
        first = doc.split("\n\n")[0].strip()
        assert first.endswith((".", ":")), f"{thing}: {first!r} is no sentence"


DEVICE_FUNCTIONS = [
    pytest.param(node, id=f"{name}.{node.name}")
    for name in MODULES
    if name.rpartition(".")[2]
    in {"adjust", "augment", "draws", "losses", "metrics", "mix", "transforms", "warp"}
    | {"cepstrum", "features", "framing", "levels", "loudness", "mel", "resample", "stft", "waveform"}
    | {"filters", "mixing", "noise", "reverb", "spec_augment", "stretch", "synthesis", "varispeed"}
    and not name.startswith("artifex.data.")
    for node in defined_in(name)
    if isinstance(node, ast.FunctionDef) and public(node.name)
]


@pytest.mark.parametrize("function", DEVICE_FUNCTIONS)
def test_key_first_and_settings_by_keyword(function: ast.FunctionDef):
    assert_key_first(function)


def assert_key_first(function: ast.FunctionDef) -> None:
    positional = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    by_keyword = [a.arg for a in function.args.kwonlyargs]
    assert not {"rng", "rngs", "seed"} & {*positional, *by_keyword}, "randomness is a `key`"
    assert "key" not in positional[1:], "`key` comes first"
    assert not function.args.defaults, "what has a default is keyword-only"


@pytest.mark.parametrize(
    "code",
    ["def f(x, key): ...", "def f(x, sigma=1.0): ...", "def f(x, *, seed=0): ...", "def f(rngs, x): ..."],
)
def test_the_rule_above_can_fail(code: str):
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    with pytest.raises(AssertionError):
        assert_key_first(function)


CONFIGS = [
    pytest.param(getattr(importlib.import_module(name), node.name), id=f"{name}.{node.name}")
    for name in MODULES
    if name.startswith("artifex.generative_models")
    for node in defined_in(name)
    if isinstance(node, ast.ClassDef)
    and node.name.endswith(("Config", "Configuration"))
    and public(node.name)
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_says_what_each_field_means(config: type):
    assert is_dataclass(config)
    doc = inspect.getdoc(config) or ""
    missing = [f.name for f in fields(config) if not re.search(rf"\b{f.name}\b", doc)]
    assert not missing


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_is_frozen(config: type):
    assert config.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]


# -- what stands nowhere


def files_of_the_repository() -> list[Path]:
    skipped = {".git", ".venv", ".venv-smoke", "site", "build", "dist", "demo", ".bench", "__pycache__"}
    skipped |= {".hypothesis", ".ruff_cache", ".import_linter_cache", "node_modules"}
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in skipped and not f.endswith(".egg-info")]
        found += [Path(folder, n) for n in names]
    return found


# Spelled in halves, so that this file is not found.
FORBIDDEN = ["py" + "pi.org", "files.python" + "hosted.org", "/wo" + "rk/", "clau" + "de", "anth" + "ropic"]


def test_no_file_names_a_registry_or_a_machine():
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files_of_the_repository()
        if path.stat().st_size < 2**20
        for word in FORBIDDEN
        if word.encode() in path.read_bytes().lower()
    ]
    assert not found
