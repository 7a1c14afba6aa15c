import errno
import gzip
import os
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest
import zstandard

from artifex.data.errors import ConfigError, DecodeError, MissingPackageError, ReadError
from artifex.data.sources.text import open as opening
from artifex.data.sources.text import open_text
from artifex.data.sources.text.streams import DamagedError, decompress
from artifex.testing import SourceContract
from text_files import errors_of, jsonl, texts, write

LINES = [f"line {n} " + "ab" * (n % 50) for n in range(5000)]
DATA = "".join(line + "\n" for line in LINES).encode()
PACK = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
KINDS = pytest.mark.parametrize("kind", sorted(PACK))


class TestGzip(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.path, self.cache = (
            write(tmp_path / "a.jsonl.gz", gzip.compress(jsonl("a", "b", "c"))),
            tmp_path / "c",
        )

    def source(self):
        return open_text(self.path, cache_dir=self.cache)


@KINDS
def test_a_compressed_file_has_the_same_documents(tmp_path, kind):
    path = write(tmp_path / f"a.txt{kind}", PACK[kind](DATA))
    source = open_text(path, cache_dir=tmp_path / "cache")
    assert texts(source) == LINES
    assert source[0]["path"] == str(path)
    assert os.listdir(tmp_path / "cache" / "text")
    assert sorted(os.listdir(tmp_path)) == [path.name, "cache"]


@KINDS
def test_it_is_unpacked_once(tmp_path, kind, monkeypatch):
    path = write(tmp_path / f"a.txt{kind}", PACK[kind](DATA))
    open_text(path, cache_dir=tmp_path / "cache")
    calls = []
    monkeypatch.setattr(opening, "decompress", lambda *a: calls.append(a) or decompress(*a))
    source = open_text(path, cache_dir=tmp_path / "cache", unit="block")
    assert (len(source), calls) == (1, [])
    write(path, PACK[kind](DATA + b"more\n"))
    assert open_text(path, cache_dir=tmp_path / "cache")[-1]["text"] == "more"
    assert len(calls) == 1
    (data,) = [p for p in (tmp_path / "cache" / "text").glob("*/data") if p.stat().st_size > len(DATA)]
    os.truncate(data, 10)
    assert open_text(path, cache_dir=tmp_path / "cache")[-1]["text"] == "more"
    assert len(calls) == 2


@KINDS
def test_several_members_follow_each_other(tmp_path, kind):
    parts = [DATA[:1000], b"", DATA[1000:]]
    path = write(tmp_path / f"a.txt{kind}", b"".join(map(PACK[kind], parts)))
    assert texts(open_text(path, cache_dir=tmp_path / "cache")) == LINES


def test_zeros_after_a_gzip_member_are_padding(tmp_path):
    path = write(tmp_path / "a.txt.gz", PACK[".gz"](b"a\n") + bytes(20_000) + PACK[".gz"](b"b\n") + bytes(10))
    assert texts(open_text(path, cache_dir=tmp_path / "cache")) == ["a", "b"]


@KINDS
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_of_a_truncated_file_the_rest_is_one_bad_record(tmp_path, kind, share):
    whole = PACK[kind](DATA)
    path = write(tmp_path / f"a.txt{kind}", whole[: int(len(whole) * share)])
    source = open_text(path, cache_dir=tmp_path / "cache")
    found = errors_of(source)
    assert list(found) == [len(source) - 1]
    (error,) = found.values()
    assert isinstance(error, DecodeError)
    assert (error.path, error.offset) == (str(path), path.stat().st_size)
    good = [source[i]["text"] for i in range(len(source) - 1)]
    assert good == LINES[: len(good)]
    with pytest.raises(DecodeError, match="end too early"):
        pickle.loads(pickle.dumps(source)).read_many(np.array([len(source) - 1]))
    # All that zlib gives is there, up to the last line that has its end; zstandard's blocks are 128 KiB.
    if kind == ".gz":
        there = zlib.decompressobj(wbits=31).decompress(path.read_bytes()) if path.stat().st_size else b""
        assert len(good) == there.count(b"\n")
    elif share == 0.999:
        assert len(good) > 1000


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.99])
def test_of_damaged_gzip_all_is_there_that_comes_before(tmp_path, place):
    data = np.random.default_rng(0).integers(97, 123, 300_000, np.uint8)
    data[::40] = 10
    whole = bytearray(gzip.compress(data.tobytes(), mtime=0))
    at = int(len(whole) * place)
    whole[at : at + 8] = bytes(byte ^ 255 for byte in whole[at : at + 8])
    path = write(tmp_path / "a.txt.gz", bytes(whole))
    source = open_text(path, cache_dir=tmp_path / "cache", errors="replace")
    found = errors_of(source)
    assert list(found) == [len(source) - 1]
    assert found[len(source) - 1].offset >= at
    # What a decoder gives byte by byte until it fails; what it made of the damaged bytes first is among it.
    decoder, there = zlib.decompressobj(wbits=31), bytearray()
    for n, byte in enumerate(whole):
        try:
            there += decoder.decompress(bytes([byte]))
        except zlib.error:
            assert found[len(source) - 1].offset == n
            break
    assert len(source) - 1 == there.count(b"\n")


@KINDS
def test_what_follows_a_member_and_is_none_is_lost(tmp_path, kind):
    first = PACK[kind](DATA)
    source = open_text(write(tmp_path / f"a.txt{kind}", first + b"garbage, no member"), cache_dir=tmp_path)
    assert [source[i]["text"] for i in range(len(LINES))] == LINES
    (error,) = errors_of(source).values()
    assert len(first) <= error.offset < len(first) + 18


def test_a_document_cut_in_two_is_not_taken_for_one(tmp_path):
    for unit, expected in (("line", ["one"]), ("block", []), ("file", [])):
        path = write(tmp_path / "a.txt.gz", gzip.compress(b"one\ntwo")[:-3])
        source = open_text(path, unit=unit, cache_dir=tmp_path / "cache")
        assert [source[i]["text"] for i in range(len(source) - 1)] == expected
        assert list(errors_of(source)) == [len(expected)]


@KINDS
def test_a_bomb_is_stopped(tmp_path, kind):
    path = write(tmp_path / f"a.txt{kind}", PACK[kind](bytes(10**7)))
    with pytest.raises(ConfigError, match=r"more than `max_unpacked_bytes` 1000000, over \d+ times its size"):
        open_text(path, cache_dir=tmp_path / "cache", max_unpacked_bytes=10**6)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt.gz", gzip.compress(DATA))

    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        ReadError, match="No space left on device; make room, or name another `cache_dir`"
    ) as caught:
        open_text(path, cache_dir=tmp_path / "cache")
    assert caught.value.path == str(path)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_the_bytes_that_come_of_a_step_are_few():
    """A decoder is given so little at once that even the densest data fill no memory."""
    for kind, limit in ((".gz", 2**25), (".zst", 2**27)):
        packed = PACK[kind](bytes(2**28))
        pieces = decompress(lambda at, n, packed=packed: packed[at : at + n], kind, lambda n: None)
        assert max(len(piece) for piece in pieces) <= limit


def test_damage_in_the_first_byte_is_told():
    with pytest.raises(DamagedError) as caught:
        list(decompress(lambda at, n: b"no gzip"[at : at + n], ".gz", lambda n: None))
    assert caught.value.position <= 1


def test_without_zstandard(tmp_path):
    path = write(tmp_path / "a.txt.zst", PACK[".zst"](DATA))
    code = (
        "import sys; sys.modules['zstandard'] = None\n"
        "from artifex.data import open_text\n"
        "from artifex.data.errors import MissingPackageError\n"
        "try: open_text(sys.argv[1], cache_dir=sys.argv[2])\n"
        "except MissingPackageError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path], capture_output=True, text=True, check=True
    )
    assert 'pip install "artifex-data[text]"' in done.stdout
    assert issubclass(MissingPackageError, ImportError)
