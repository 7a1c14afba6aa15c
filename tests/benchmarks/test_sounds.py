"""What becomes of sound files, against librosa and each other."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from benchmarks.data import Recordings

from benchmarks import checks, finish, recording, sounds


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    folder = tmp_path_factory.mktemp("sounds")
    paths = tuple(str(folder / "recordings" / name) for name in ("0.wav", "1.flac"))
    recording.write(paths)
    np.save(folder / "features.npy", recording.features(paths))
    return Recordings(folder / "recordings", paths, 2, folder / "features.npy", folder)


def test_a_part_is_what_the_whole_file_has_there(work: Recordings):
    for path in work.paths:
        whole = sounds.whole(path)
        for start in (0, 1, 5001, len(whole) - sounds.SAMPLES):
            part = np.empty(sounds.SAMPLES, np.float32)
            sounds.part(path, part, start)
            # At the end of the file the whole has a sample more or less to go on.
            assert abs(part - whole[start : start + sounds.SAMPLES])[:-100].max() < 1e-6


def test_spectrograms_are_those_of_librosa(work: Recordings):
    part = sounds.part_alone(work.paths[0])
    power = librosa.feature.melspectrogram(
        y=part, sr=16_000, n_fft=1024, hop_length=256, n_mels=80, htk=True, norm=None, pad_mode="reflect"
    )
    wanted = np.log(np.maximum(power, 1e-5)).T
    assert abs(sounds.log_mel(part) - wanted).max() < 1e-4
    assert abs(np.asarray(finish.log_mel(np.stack([part, part])))[1] - wanted).max() < 1e-4


def test_a_second_of_a_file_passes_and_another_does_not(work: Recordings):
    parts = [sounds.part_alone(path) for path in work.paths]
    good = sounds.log_mel(np.stack(parts))
    checks.spectrograms(work, good)
    for wrong in (sounds.log_mel(parts[0][::-1]), sounds.log_mel(parts[0] * np.float32(1.2))):
        with pytest.raises(ValueError, match="a spectrogram differs by"):
            checks.spectrograms(work, np.stack([wrong, good[1]]))


def test_spectrograms_of_samples_are_compared_with_those_by_numpy(work: Recordings):
    samples = np.stack([sounds.part_alone(path) for path in work.paths])
    checks.spectrograms_of_samples(samples, sounds.log_mel(samples))
    with pytest.raises(ValueError, match="differ by up to"):
        checks.spectrograms_of_samples(samples, sounds.log_mel(samples[::-1]))


def test_kept_spectrograms_are_found_again(work: Recordings):
    kept = sounds.log_mel(np.stack([sounds.part_alone(path) for path in work.paths]))
    checks.kept_spectrograms((work, kept), kept[::-1])
    with pytest.raises(ValueError, match="from the nearest that was kept"):
        checks.kept_spectrograms((work, kept), kept[:, ::-1])


def test_recordings_are_made_once_and_the_same(work: Recordings, tmp_path: Path):
    before = [Path(path).stat().st_mtime_ns for path in work.paths]
    recording.write(work.paths)
    assert [Path(path).stat().st_mtime_ns for path in work.paths] == before
    again = tuple(str(tmp_path / "again" / Path(path).name) for path in work.paths)
    recording.write(again)
    for one, other in zip(work.paths, again, strict=True):
        assert np.array_equal(sounds.whole(one), sounds.whole(other))
