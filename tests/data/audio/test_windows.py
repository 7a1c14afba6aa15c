import numpy as np
import pytest

from artifex.data.audio import AudioWindows
from artifex.data.errors import ConfigError
from artifex.data.sources.audio import audio_folder, audio_manifest
from artifex.testing import SourceContract
from audio_files import noise, sound, write

RATE = 8000


def folder_of(root, *seconds, rate=RATE):
    for number, length in enumerate(seconds):
        write(root / f"{number}.wav", sound(rate, length), rate)
    return audio_folder(root)


class TestWindows(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = tmp_path

    def source(self):
        return AudioWindows(
            folder_of(self.root / "data", 1, 0.3), RATE, 2000, 1500, cache_dir=self.root / "cache"
        )


def starts(windows):
    return [(windows[i]["path"][-5], windows[i]["start"]) for i in range(len(windows))]


def test_where_windows_begin(tmp_path):
    source = folder_of(tmp_path / "data", 1, 0.1, 0.5)  # 8000, 800 and 4000 samples

    def begin(*settings, **more):
        return starts(AudioWindows(source, RATE, *settings, cache_dir=tmp_path / "cache", **more))

    assert begin(4000) == [("0", 0), ("0", 4000), ("1", 0), ("2", 0)]
    assert begin(3000) == [("0", 0), ("0", 3000), ("0", 6000), ("1", 0), ("2", 0), ("2", 3000)]
    assert begin(4000, 2000) == [("0", 0), ("0", 2000), ("0", 4000), ("1", 0), ("2", 0)]
    assert begin(3000, drop_short=True) == [("0", 0), ("0", 3000), ("2", 0)]
    assert begin(10000) == [("0", 0), ("1", 0), ("2", 0)]
    with pytest.raises(ConfigError, match="no sound is as long as `length` 10000"):
        begin(10000, drop_short=True)


@pytest.mark.parametrize("length", [1, 7, 100, 333, 800])
@pytest.mark.parametrize("share", [0.3, 1])
def test_windows_cover_every_sample_and_none_is_in_vain(length, share, tmp_path):
    source = folder_of(tmp_path / "data", 0.1, 0.0125)  # 800 and 100 samples
    windows = AudioWindows(source, RATE, length, max(1, int(length * share)), cache_dir=tmp_path / "cache")
    covered = {"0": np.zeros(800, int), "1": np.zeros(100, int)}
    for name, start in starts(windows):
        assert not covered[name][start : start + length].all(), "nothing new in it"
        covered[name][start : start + length] += 1
    assert covered["0"].min() == covered["1"].min() == 1


def test_samples_are_counted_at_the_rate_asked_for(tmp_path):
    source = folder_of(tmp_path / "data", 1, rate=44100)
    assert len(AudioWindows(source, 16000, 1000, cache_dir=tmp_path)) == 16
    assert len(AudioWindows(source, 16000, 1001, cache_dir=tmp_path)) == 16
    assert len(AudioWindows(source, 16000, 999, cache_dir=tmp_path)) == 17


def test_parts_of_files_are_cut_by_themselves(tmp_path):
    write(tmp_path / "a.wav", noise(RATE, 2), RATE)
    (tmp_path / "list.csv").write_text(
        "path,offset,duration\na.wav,0.5,1\na.wav,1.9,\na.wav,5,1\na.wav,0,9\n"
    )
    windows = AudioWindows(audio_manifest(tmp_path / "list.csv"), RATE, 4000, cache_dir=tmp_path / "cache")
    # The third is an error when it is read; the last one ends with the file.
    assert [(windows[i]["offset"], windows[i]["start"]) for i in range(len(windows))] == [
        (0.5, 0),
        (0.5, 4000),
        (1.9, 0),
        (5.0, 0),
        (0.0, 0),
        (0.0, 4000),
        (0.0, 8000),
        (0.0, 12000),
    ]


def test_labels_follow_their_sounds(tmp_path):
    for name, seconds in (("b/0.wav", 1), ("a/1.wav", 0.5)):
        write(tmp_path / "data" / name, sound(RATE, seconds), RATE)
    windows = AudioWindows(audio_folder(tmp_path / "data"), RATE, 3000, cache_dir=tmp_path)
    assert windows.labels.tolist() == [0, 0, 1, 1, 1]
    assert windows.classes == ("a", "b")
    assert windows.sound_of.tolist() == [0, 0, 1, 1, 1]


def test_a_bad_file_stays_as_one_window(tmp_path):
    source = folder_of(tmp_path / "data", 1, 1)
    (tmp_path / "data" / "0.wav").write_bytes(b"no sound")
    for drop_short in (False, True):
        windows = AudioWindows(source, RATE, 4000, cache_dir=tmp_path, drop_short=drop_short)
        assert starts(windows) == [("0", 0), ("1", 0), ("1", 4000)]


def test_fingerprints(tmp_path):
    one = folder_of(tmp_path / "one", 1, 0.3)
    other = folder_of(tmp_path / "other", 1, 0.3)

    def prints(source, *settings, **more):
        return AudioWindows(source, *settings, cache_dir=tmp_path / "cache", **more).fingerprint()

    assert prints(one, RATE, 2000) == prints(other, RATE, 2000)
    different = [(RATE, 2000), (RATE, 2001), (RATE, 2000, 1000), (4000, 2000)]
    found = {prints(one, *settings) for settings in different} | {prints(one, RATE, 2000, drop_short=True)}
    assert len(found) == 5


@pytest.mark.parametrize(
    "settings", [{"length": 0}, {"stride": 0}, {"stride": 2001}, {"sample_rate": 0}, {"drop_short": 1}]
)
def test_settings_are_checked(settings, tmp_path):
    source = folder_of(tmp_path / "data", 1)
    with pytest.raises((ConfigError, TypeError), match=f"`{next(iter(settings))}`"):
        AudioWindows(source, **{"sample_rate": RATE, "length": 2000} | settings, cache_dir=tmp_path)
