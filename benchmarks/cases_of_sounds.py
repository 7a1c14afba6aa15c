"""The cases with sound files."""

from functools import partial

from benchmarks import checks, data, who
from benchmarks.registry import Case, Contender
from benchmarks.sounds import BANDS, FRAMES

BATCH = 32

_FEATURES = partial(checks.array, shape=(BATCH, FRAMES, BANDS), dtype="float32")


def all_cases() -> list[Case]:
    """In the order of the page."""
    return [_files(), _features(), _samples()]


def _files() -> Case:
    part = "a part alone is read and resampled, two threads"
    return Case(
        name="audio-mel",
        group="audio",
        title="WAV and FLAC files of 1-4 s, stereo, 44.1 kHz, a random second as log-mel at 16 kHz, batch 32",
        item="clip",
        items_per_batch=BATCH,
        field="spectrogram",
        make=partial(data.recordings, batch_size=BATCH),
        check=_FEATURES,
        compare=checks.spectrograms,
        contenders=(
            who.hand("by hand: part first", "by_hand:recordings", f"{part}, one compiled call for a batch"),
            who.hand(
                "by hand: whole files",
                "by_hand:recordings",
                "decoded and resampled, then cut, two threads, one compiled call for a batch",
                whole=True,
            ),
            who.hand(
                "by hand: file by file",
                "by_hand:spectrogram_by_spectrogram",
                "decoded and resampled, then cut, spectrograms by NumPy",
            ),
            who.artifex_with_sounds("artifex", "of_artifex:recordings", "`transform=Spectrogram(config)`"),
            *_peers("whole files", whole=True),
            *_peers("part first", whole=False),
        ),
    )


def _features() -> Case:
    array = "the spectrograms as one array"
    return Case(
        name="features",
        group="features",
        title="The first seconds of the same files as log-mel, from the second epoch on, batch 32",
        item="clip",
        items_per_batch=BATCH,
        field="spectrogram",
        make=partial(data.features, batch_size=BATCH),
        check=_FEATURES,
        compare=checks.kept_spectrograms,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: take", "by_hand:features", array),
            who.artifex_with_sounds(
                "artifex: memory", "of_artifex:features", '`spectrograms()`, `cache="memory"`', cache="memory"
            ),
            who.artifex_with_sounds(
                "artifex: disk", "of_artifex:features", '`spectrograms()`, `cache="disk"`', cache="disk"
            ),
        ),
    )


def _samples() -> Case:
    one_call = "one compiled call for a batch"
    return Case(
        name="mel",
        group="mel",
        title="Samples in memory, a second at 16 kHz, as log-mel, batch 32",
        item="clip",
        items_per_batch=BATCH,
        make=partial(data.samples, count=BATCH),
        check=_FEATURES,
        compare=checks.spectrograms_of_samples,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: NumPy", "by_hand:samples_by_numpy", "`np.fft.rfft` of a batch"),
            who.hand("by hand: librosa", "by_hand:samples_by_librosa", "`melspectrogram` of a batch"),
            who.hand("by hand: JAX", "by_hand:samples", one_call),
            who.artifex_with_sounds(
                "artifex", "of_artifex:samples", f"`map_clips(log_mel_spectrogram)`, {one_call}"
            ),
        ),
    )


def _peers(words: str, *, whole: bool) -> tuple[Contender, ...]:
    """All with the function of a loop by hand for a file, and one compiled call for a batch."""
    how = "decoded and resampled, then cut" if whole else "the function of the loop by hand"
    files = "of_grain:recordings"
    return (
        who.grain(f"grain: {words}", files, f"{how}, `num_threads=2`", threads=2, whole=whole),
        who.grain(f"grain: {words}, 2 processes", files, f"{how}, `mp_prefetch`", processes=2, whole=whole),
        who.torch(f"torch: {words}", "of_torch:recordings", f"{how}, no workers", workers=0, whole=whole),
        who.torch(
            f"torch: {words}, 2 workers",
            "of_torch:recordings",
            f"{how}, persistent workers",
            workers=2,
            whole=whole,
        ),
        who.tensorflow(
            f"tf.data: {words}", "of_tensorflow:recordings", f"{how}, `tf.signal.stft`, AUTOTUNE", whole=whole
        ),
        who.datasets(
            f"HF datasets: {words}", "of_datasets:recordings", f"{how}, `with_transform`", whole=whole
        ),
        who.spdl(f"SPDL: {words}", "of_spdl:recordings", f"{how}, two threads", whole=whole),
    )
