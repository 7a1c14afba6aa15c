import pickle

import numpy as np
import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.sources.audio import audio_folder, audio_manifest, librispeech, vctk
from artifex.data.sources.folder import SkippedFilesWarning
from artifex.testing import SourceContract


def fill(root, *names, text=""):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
    return root


# -- folders


class TestFolder(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = fill(tmp_path, "cat/a.wav", "cat/b.FLAC", "dog/a.mp3", "dog/notes.txt")

    def source(self):
        return audio_folder(self.root)


def test_a_record_of_a_folder_is_a_path_and_a_label(tmp_path):
    source = audio_folder(fill(tmp_path, "dog/1.wav", "cat/deep/2.OGG", "cat/notes.txt"))
    assert source[0] == {"path": str(tmp_path / "cat" / "deep" / "2.OGG"), "label": 0}
    assert source[1] == {"path": str(tmp_path / "dog" / "1.wav"), "label": 1}
    assert source.classes == ("cat", "dog") and source.class_to_idx == {"cat": 0, "dog": 1}
    assert source.labels.tolist() == [0, 1] and source.labels.dtype == np.int32
    assert source.numbers == {"labels": "label"} and source.strings == {"paths": "path"}
    plain = audio_folder(tmp_path, labels=None, suffixes=(".wav",))
    assert [plain[0]] == [{"path": str(tmp_path / "dog" / "1.wav")}]
    assert plain.numbers == {}
    with pytest.raises(ConfigError, match="no file under `root`"):
        audio_folder(tmp_path, suffixes=(".opus",))


def test_fingerprints_do_not_know_where_files_lie_or_when_they_were_written(tmp_path):
    one, other = (audio_folder(fill(tmp_path / where, "a/1.wav", "b/2.wav")) for where in ("one", "other"))
    assert one.fingerprint() == other.fingerprint()
    assert one.stamp() != other.stamp()
    changed = [
        audio_folder(fill(tmp_path / "longer", "a/1.wav", "b/2.wav", text="longer than it was")),
        audio_folder(fill(tmp_path / "renamed", "a/1.wav", "b/3.wav")),
        audio_folder(tmp_path / "one", labels=None),
        audio_folder(tmp_path / "one", labels={"a/1.wav": 1, "b/2.wav": 0}),
    ]
    assert len({source.fingerprint() for source in [one, *changed]}) == 5


def test_a_changed_file_shows(tmp_path):
    source = audio_folder(fill(tmp_path, "a/1.wav", "b/2.wav"))
    assert source.unchanged(np.array([1, 0])).tolist() == [True, True]
    (tmp_path / "b/2.wav").write_text("another")
    assert source.unchanged(np.array([1, 0, 1])).tolist() == [False, True, False]
    (tmp_path / "a/1.wav").unlink()
    assert source.unchanged(np.array([0])).tolist() == [False]


# -- lists


def listed(tmp_path, content, name="list.csv", **settings):
    fill(tmp_path, "a.wav", "b/c.wav")
    (tmp_path / name).write_text(content)
    return audio_manifest(tmp_path / name, **settings)


class TestManifest(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = tmp_path

    def source(self):
        return listed(self.root, "path,text,offset\na.wav,one,0\nb/c.wav,two,1.5\na.wav,three,2\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "list.csv",
            'path,label,text,offset,duration,more\na.wav,yes,"Well, yes",0.5,1,x\nb/c.wav,no,No,,,y\n',
        ),
        (
            "list.tsv",
            "path\tlabel\ttext\toffset\tduration\na.wav\tyes\tWell, yes\t0.5\t1\nb/c.wav\tno\tNo\t\t\n",
        ),
        (
            "list.jsonl",
            '{"path": "a.wav", "label": "yes", "text": "Well, yes", "offset": 0.5, "duration": 1}\n\n'
            '{"path": "b/c.wav", "label": "no", "text": "No", "offset": null, "duration": null, "more": []}\n',
        ),
    ],
)
def test_columns_of_a_list(name, content, tmp_path):
    source = listed(tmp_path, content, name)
    assert [source[i] for i in range(len(source))] == [
        {"path": str(tmp_path / "a.wav"), "label": 1, "text": "Well, yes", "offset": 0.5, "duration": 1.0},
        {"path": str(tmp_path / "b" / "c.wav"), "label": 0, "text": "No", "offset": 0.0, "duration": None},
    ]
    assert source.classes == ("no", "yes")
    assert source.strings == {"texts": "text", "paths": "path"}


def test_offsets_and_durations_may_be_left_out_of_some_objects(tmp_path):
    source = listed(tmp_path, '{"path": "a.wav"}\n{"path": "a.wav", "offset": 1}\n', "list.jsonl")
    assert source.spans == ((0.0, None), (1.0, None))


def test_columns_of_other_names_and_another_root(tmp_path):
    fill(tmp_path / "data", "x.wav")
    source = listed(
        tmp_path,
        '{"audio_filepath": "x.wav", "who": "Ann"}\n',
        "m.jsonl",
        root=tmp_path / "data",
        columns={"path": "audio_filepath", "speaker": "who"},
    )
    assert source[0] == {"path": str(tmp_path / "data" / "x.wav"), "speaker": "Ann"}


def test_integers_are_labels_as_they_are(tmp_path):
    source = listed(tmp_path, "path,label\na.wav,7\nb/c.wav,-1\n")
    assert source.labels.tolist() == [7, -1] and source.classes == ()


def test_what_only_looks_like_integers_are_names(tmp_path):
    source = listed(tmp_path, "path,label\na.wav,--5\nb.wav,-\n")
    assert source.classes == ("-", "--5") and source.labels.tolist() == [1, 0]


def test_a_list_is_the_same_wherever_it_lies(tmp_path):
    content = "path,text\na.wav,one\n"
    fill(tmp_path, "one/x", "other/x")
    one, other = (listed(tmp_path / where, content) for where in ("one", "other"))
    assert one.fingerprint() == other.fingerprint()
    assert listed(tmp_path / "other", "path,text\na.wav,two\n").fingerprint() != one.fingerprint()
    assert listed(tmp_path / "other", "path,speaker\na.wav,one\n").fingerprint() != one.fingerprint()
    spans = [
        listed(tmp_path / "other", f"path,offset\na.wav,{offset}\n").fingerprint() for offset in (0, 1, 2)
    ]
    assert len(set(spans)) == 3


def test_a_missing_file_is_an_error_of_its_record_unless_all_are_missing(tmp_path):
    source = listed(tmp_path, "path\na.wav\nnowhere.wav\n")
    assert len(source) == 2 and source.files.sizes.tolist() == [5, -1]
    with pytest.raises(
        ConfigError, match=r"none of the 2 files is there, the first one being .*no.wav.*`root`"
    ):
        listed(tmp_path, "path\nno.wav\nnot.wav\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lists no files"),
        ("path\n", "lists no files"),
        ("file\na.wav\n", "line 2: no column 'path' with the path, only file; say with `columns`"),
        ("path,text\na.wav\n", "line 2: the first row has 2 names"),
        ("path,text\na.wav,b,c\n", "line 2: the first row has 2 names"),
        ("path,label\na.wav,\n", "line 2: `label` must be an int or a name, got ''"),
        ("path,label\na.wav,99999999999\n", "labels must fit in int32"),
        ('path\na.wav\n""\n', "line 3: `path` must be a string"),
        ("path,offset\na.wav,soon\n", "line 2: `offset` must be 0 or more seconds, got 'soon'"),
        ("path,offset\na.wav,-1\n", "`offset` must be 0 or more"),
        ("path,duration\na.wav,0\n", "`duration` must be above 0"),
        ("path,duration\na.wav,nan\n", "`duration` must be above 0"),
        ('path\n"a.wav\n', "cannot be read"),
    ],
)
def test_bad_lists(content, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        listed(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1: no JSON"),
        ("[]", "line 1: an object is wanted, got list"),
        ('{"path": 3}', "line 1: `path` must be a string, got 3"),
        ('{"path": "a.wav", "label": true}', "line 1: `label` must be an int or a name"),
        (
            '{"path": "a.wav", "text": "x"}\n{"path": "a.wav"}',
            r"line 2: columns \['path'\], and of the first row",
        ),
        ('{"path": "a.wav", "offset": 1' + 400 * "0" + "}", "line 1: `offset` must be 0 or more seconds"),
        ('{"path": "a\\u0000.wav"}', "line 1: `path` has a character that is none: 'a.x00.wav'"),
        ('{"path": "\\ud800.wav"}', "line 1: `path` has a character that is none"),
        ('{"path": "a.wav", "text": "\\ud800"}', "line 1: `text` has a character that is none"),
        (100_000 * "[", "line 1: no JSON"),
    ],
)
def test_bad_lists_of_json(content, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        listed(tmp_path, content, "list.jsonl")


def test_lists_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="must end in .csv"):
        listed(tmp_path, "path\n", "list.txt")
    with pytest.raises(ConfigError, match="cannot be read"):
        audio_manifest(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"path\n\xe9.wav\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        audio_manifest(tmp_path / "latin.csv")
    with pytest.raises(UnknownNameError, match="'paths' in|column in `columns` 'paths'; did you mean 'path'"):
        listed(tmp_path, "path\na.wav\n", columns={"paths": "path"})
    with pytest.raises(ConfigTypeError, match="`offset` must be seconds"):
        listed(tmp_path, '{"path": "a.wav", "offset": []}', "list.jsonl")


# -- collections of speech


class TestLibriSpeech(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = _libri(tmp_path)

    def source(self):
        return librispeech(self.root)


def _libri(root):
    fill(root / "dev-clean", "84/121/84-121-0000.flac", "84/121/84-121-0001.flac", "9/5/9-5-0000.flac")
    (root / "dev-clean/84/121/84-121.trans.txt").write_text(
        "84-121-0000 GO DO YOU HEAR\n84-121-0001 BUT IN LESS\n"
    )
    (root / "dev-clean/9/5/9-5.trans.txt").write_text("9-5-0000 ÉTÉ\u2028HIVER\r\n", "utf-8")
    return root


def test_librispeech(tmp_path):
    source = librispeech(_libri(tmp_path))
    assert [source[i] for i in range(3)] == [
        {
            "path": str(tmp_path / "dev-clean" / "84" / "121" / "84-121-0000.flac"),
            "label": 0,
            "text": "GO DO YOU HEAR",
            "speaker": "84",
        },
        {
            "path": str(tmp_path / "dev-clean" / "84" / "121" / "84-121-0001.flac"),
            "label": 0,
            "text": "BUT IN LESS",
            "speaker": "84",
        },
        {
            "path": str(tmp_path / "dev-clean" / "9" / "5" / "9-5-0000.flac"),
            "label": 1,
            "text": "ÉTÉ\u2028HIVER",
            "speaker": "9",
        },
    ]
    assert source.classes == ("84", "9")
    assert source.strings == {"texts": "text", "speakers": "speaker", "paths": "path"}
    assert librispeech(tmp_path / "dev-clean").texts == source.texts


def test_speech_without_a_text_is_left_out_and_told(tmp_path):
    fill(
        _libri(tmp_path),
        "dev-clean/84/121/84-121-0002.flac",
        "dev-clean/7/1/7-1-0000.flac",
        "dev-clean/x.flac",
    )
    with pytest.warns(SkippedFilesWarning, match="all are listed in `skipped`"):
        source = librispeech(tmp_path)
    assert len(source) == 3
    reasons = {path.rpartition("/")[2]: reason for path, reason in source.skipped}
    assert reasons["x.flac"].startswith("not <speaker>/<chapter>/")
    assert reasons["84-121-0002.flac"].startswith("no line for it in dev-clean/84/121/84-121.trans.txt")
    assert "7-1.trans.txt: No such file" in reasons["7-1-0000.flac"]


def test_a_folder_of_another_layout(tmp_path):
    fill(tmp_path, "a/b.flac")
    with pytest.raises(ConfigError, match="no speech in the layout <speaker>/<chapter>"):
        librispeech(tmp_path)
    with pytest.raises(ConfigError, match="no speech in the layout wav48"):
        vctk(tmp_path)


class TestVctk(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = _vctk(tmp_path)

    def source(self):
        return vctk(self.root)


def _vctk(root):
    for name in ("p225/p225_001", "p225/p225_002", "s5/s5_001"):
        fill(root, *(f"wav48_silence_trimmed/{name}_mic{n}.flac" for n in (1, 2)))
        fill(root, f"txt/{name}.txt", text=f"Said in {name}.\n")
    return root


def test_vctk(tmp_path):
    source = vctk(_vctk(tmp_path))
    assert len(source) == 3
    assert source[2] == {
        "path": str(tmp_path / "wav48_silence_trimmed" / "s5" / "s5_001_mic1.flac"),
        "label": 1,
        "text": "Said in s5/s5_001.",
        "speaker": "s5",
    }
    assert source.classes == ("p225", "s5")
    assert {record["path"][-9:] for record in (vctk(tmp_path, mic="mic2")[i] for i in range(3))} == {
        "mic2.flac"
    }
    with pytest.raises(UnknownNameError, match="`mic` 'mic3'"):
        vctk(tmp_path, mic="mic3")


def test_vctk_of_old(tmp_path):
    fill(tmp_path, "wav48/p225/p225_001.wav", "wav48/p315/p315_001.wav")
    fill(tmp_path, "txt/p225/p225_001.txt", text="Please call Stella.\n")
    with pytest.warns(SkippedFilesWarning, match=r"p315_001.wav' \(no text"):
        source = vctk(tmp_path)
    assert [source[i]["text"] for i in range(len(source))] == ["Please call Stella."]


def test_sources_are_pickled_small(tmp_path):
    source = vctk(_vctk(tmp_path))
    assert len(pickle.dumps(source)) < 5000
