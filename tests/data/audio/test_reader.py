import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from artifex.data import DataLoader, DecodeError, create_data_loader
from artifex.data.audio import AudioReader, AudioWindows, audio_reader
from artifex.data.codecs.audio import AudioCodec, load_audio_file
from artifex.data.errors import ConfigError, ReadError
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, slots
from artifex.data.sources.audio import audio_folder, audio_manifest
from audio_files import encoded, noise, sound, write

RATE = 8000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Twelve sounds of two classes, three rates and two formats, from 0.4 to 1.5 s."""
    root = tmp_path_factory.mktemp("sounds")
    for number in range(12):
        rate = (8000, 16000, 11025)[number % 3]
        suffix = ("wav", "flac")[number % 2]
        write(
            root / f"{'ab'[number % 2]}/{number:02}.{suffix}", sound(rate, 0.4 + number / 10, 2, number), rate
        )
    return root


def read(reader, numbers, random=None):
    out = slots(reader.spec, len(numbers))
    reader.read_into(np.asarray(numbers, np.int64), out, random)
    return out


def test_a_batch(root):
    reader = audio_reader(audio_folder(root), AudioCodec(RATE, 6000, crop="start"))
    assert isinstance(reader, Reader)
    assert len(reader) == 12 and not reader.in_memory and not reader.is_random
    assert {name: str(spec) for name, spec in reader.spec.items()} == {
        "audio": "float32[6000]",
        "length": "int32[]",
        "sample_rate": "int32[]",
        "labels": "int32[]",
        "paths": "object[]",
    }
    batch = read(reader, [7, 0, 11])
    assert batch["labels"].tolist() == [1, 0, 1]
    assert batch["sample_rate"].tolist() == [RATE] * 3
    assert [Path(path).name for path in batch["paths"]] == ["03.flac", "00.wav", "11.flac"]
    for row, path in enumerate(batch["paths"]):
        whole = load_audio_file(path, RATE)
        count = min(6000, len(whole))
        assert batch["length"][row] == count
        np.testing.assert_allclose(batch["audio"][row][:count], whole[:count], atol=3e-6)
        assert not batch["audio"][row][count:].any()


def test_random_crops_belong_to_the_record(root):
    reader = audio_reader(audio_folder(root), AudioCodec(RATE, 2000))
    assert reader.is_random

    def draw(numbers, seed=1, turn=0):
        numbers = np.array(numbers, np.int64)
        return read(reader, numbers, RecordRandom(seed, np.full_like(numbers, turn), numbers))["audio"]

    together = draw([3, 8, 5])
    np.testing.assert_array_equal(draw([5, 3])[::-1], together[[0, 2]])
    assert np.abs(draw([3, 8, 5], turn=1) - together).max() > 0.01
    assert np.abs(draw([3, 8, 5], seed=2) - together).max() > 0.01


def epochs(root, cache=None, **settings):
    reader = audio_reader(audio_folder(root), AudioCodec(RATE, 2000))
    loader = create_data_loader(reader, batch_size=5, shuffle=True, seed=3, training=True, **settings)
    assert isinstance(loader, DataLoader)
    return [
        (np.asarray(batch["audio"]), np.asarray(batch["length"]), np.asarray(batch["index"]), batch["paths"])
        for _ in range(2)
        for batch in loader
    ]


def test_batches_of_a_loader_do_not_depend_on_the_number_of_threads(root):
    expected = epochs(root, num_workers=0)
    assert sorted(np.concatenate([index for _, _, index, _ in expected[:3]]).tolist()) == list(range(12))
    for count in (1, 3):
        for one, other in zip(epochs(root, num_workers=count), expected, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_batches_of_processes_are_those_of_threads(root):
    for one, other in zip(
        epochs(root, num_workers=2, worker="process"), epochs(root, num_workers=0), strict=True
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_reader_is_pickled(root):
    reader = audio_reader(audio_folder(root), AudioCodec(RATE, 2000, crop="center"))
    back = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(read(back, [4, 1])["audio"], read(reader, [4, 1])["audio"])
    assert back.fingerprint() == reader.fingerprint() and back.stamp() == reader.stamp()


def test_windows_are_what_the_whole_recording_has_there(tmp_path):
    write(tmp_path / "data/a.flac", noise(44100, 3, 2, 1), 44100)
    write(tmp_path / "data/b.wav", noise(44100, 1.03, 1, 2), 44100)
    windows = AudioWindows(audio_folder(tmp_path / "data"), 16000, 5000, cache_dir=tmp_path / "cache")
    reader = audio_reader(windows, AudioCodec(16000, 5000, crop="start"))
    batch = read(reader, range(len(reader)))
    for name in ("a.flac", "b.wav"):
        rows = [row for row, path in enumerate(batch["paths"]) if path.endswith(name)]
        parts = [batch["audio"][row][: batch["length"][row]] for row in rows]
        assert batch["start"][rows].tolist() == list(range(0, 5000 * len(rows), 5000))
        whole = np.clip(load_audio_file(tmp_path / "data" / name, 16000), -1, 1)
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=3e-6)


def test_windows_are_drawn_nowhere_else(tmp_path):
    write(tmp_path / "data/a.wav", noise(RATE, 1), RATE)
    windows = AudioWindows(audio_folder(tmp_path / "data"), RATE, 1000, cache_dir=tmp_path / "cache")
    reader = audio_reader(windows, AudioCodec(RATE, 1000, crop="random"))
    numbers = np.arange(8)
    random = RecordRandom(0, np.zeros(8, np.int64), numbers)
    np.testing.assert_array_equal(read(reader, numbers)["audio"], read(reader, numbers, random)["audio"])
    with pytest.raises(ConfigError, match="`sample_rate` 8000 Hz, and the codec's is 16000"):
        audio_reader(windows, AudioCodec(16000, 1000))
    with pytest.raises(ConfigError, match="`trim_db`"):
        audio_reader(windows, AudioCodec(RATE, 1000, trim_db=30))


def test_no_more_is_opened_than_is_asked_for(tmp_path, monkeypatch):
    write(tmp_path / "data/a.wav", noise(RATE, 4), RATE)
    windows = AudioWindows(audio_folder(tmp_path / "data"), RATE, 1000, cache_dir=tmp_path / "cache")
    frames = []
    original = soundfile.SoundFile.buffer_read_into

    def count(self, buffer, dtype):
        frames.append(len(buffer))
        return original(self, buffer, dtype)

    monkeypatch.setattr(soundfile.SoundFile, "buffer_read_into", count)
    read(audio_reader(windows, AudioCodec(RATE, 1000)), [17, 3])
    assert frames == [1000, 1000]


def test_texts_speakers_and_parts_come_along(tmp_path):
    samples = noise(RATE, 2)
    write(tmp_path / "a.wav", samples, RATE, "float.wav")
    (tmp_path / "list.csv").write_text(
        "path,text,speaker,label,offset,duration\na.wav,one,Ann,3,0,0.5\na.wav,two,Bob,4,1.5,\n"
    )
    reader = audio_reader(audio_manifest(tmp_path / "list.csv"), AudioCodec(RATE, 8000, crop="start"))
    batch = read(reader, [1, 0])
    assert batch["texts"].tolist() == ["two", "one"]
    assert batch["speakers"].tolist() == ["Bob", "Ann"]
    assert batch["labels"].tolist() == [4, 3]
    assert batch["length"].tolist() == [4000, 4000]
    np.testing.assert_array_equal(batch["audio"][0][:4000], samples[12000:, 0])
    np.testing.assert_array_equal(batch["audio"][1][:4000], samples[:4000, 0])


def test_bytes_can_be_records_too():
    source = [{"data": encoded(sound(RATE, 0.5, 1, n), RATE), "name": f"n{n}"} for n in range(3)]
    codec = AudioCodec(RATE, 4000)
    reader = AudioReader(source, codec, numbers={}, strings={"names": "name"}, identity={"kind": "mine"})
    batch = read(reader, [2, 0])
    assert batch["names"].tolist() == ["n2", "n0"]
    np.testing.assert_allclose(batch["audio"][1], sound(RATE, 0.5, 1, 0)[:, 0], atol=1.01 / 2**15)
    assert reader.fingerprint() == {"kind": "mine"}


def test_errors_name_file_and_record(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.wav", sound(RATE, 0.5), RATE)
    source = audio_folder(tmp_path)
    reader = audio_reader(source, AudioCodec(RATE, 4000))
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:-100])
    (tmp_path / "2.wav").unlink()
    with pytest.raises(DecodeError, match=r"record 1: .*1.wav: its header tells of 8000 bytes") as error:
        read(reader, [0, 1])
    assert (error.value.record, error.value.path) == (1, str(tmp_path / "1.wav"))
    with pytest.raises(ReadError, match=r"record 2: .*2.wav: No such file"):
        read(reader, [0, 2])


def test_a_loader_can_leave_bad_files_out(tmp_path):
    for number in range(6):
        write(tmp_path / "data" / f"{number}.wav", sound(RATE, 0.5), RATE)
    (tmp_path / "data" / "3.wav").write_text("no sound")
    reader = audio_reader(audio_folder(tmp_path / "data"), AudioCodec(RATE, 1000))
    loader = create_data_loader(
        reader,
        batch_size=3,
        shuffle=False,
        on_error="skip",
        max_errors=0.5,
        bad_rows="compact",
        quarantine=tmp_path / "bad.jsonl",
    )
    with pytest.warns(UserWarning, match="3.wav"):
        seen = [number for batch in loader for number in np.asarray(batch["index"]).tolist()]
    assert 3 not in seen and set(seen) >= {0, 1, 2, 4, 5}


def test_fingerprints_say_what_samples_depend_on(root, tmp_path):
    for number in range(12):
        path = next(root.glob(f"*/{number:02}.*"))
        copy = tmp_path / "copy" / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    codec = AudioCodec(RATE, 2000)
    one, other = (audio_reader(audio_folder(where), codec) for where in (root, tmp_path / "copy"))
    assert one.fingerprint() == other.fingerprint()
    assert one.stamp() != other.stamp()
    assert str(root) not in str(one.fingerprint())
    assert audio_reader(audio_folder(root), AudioCodec(RATE, 2001)).fingerprint() != one.fingerprint()
    assert audio_reader(audio_folder(root, labels=None), codec).fingerprint() != one.fingerprint()
    path = next((tmp_path / "copy").glob("*/03.*"))
    path.write_bytes(path.read_bytes())
    assert other.unchanged(np.arange(12)).sum() == 11


def test_decoded_sounds_can_be_cached(root, tmp_path):
    codec = AudioCodec(RATE, 2000, crop="center")
    settings = {"batch_size": 4, "shuffle": False, "cache": "disk", "cache_dir": tmp_path}
    batches = [
        [
            np.asarray(b["audio"])
            for b in create_data_loader(audio_reader(audio_folder(root), codec), **settings)
        ]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(batches[0], batches[1])
