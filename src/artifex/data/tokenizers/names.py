"""Which ids of a tokenizer are special: by their usual names, or as a user says."""

from typing import Any

from artifex.data.errors import ConfigError
from artifex.data.tokenizers import SpecialTokens

# The usual names, the first that a tokenizer has counts.
_NAMES = {
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>"),
    "unk": ("<unk>", "[UNK]", "<|unk|>"),
    "bos": ("<s>", "[CLS]", "<bos>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>"),
    "eos": ("</s>", "[SEP]", "<eos>", "[EOS]", "<|end_of_text|>", "<|endoftext|>"),
    "mask": ("<mask>", "[MASK]", "<|mask|>"),
    "fim_prefix": ("<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>"),
    "fim_middle": ("<|fim_middle|>", "<fim_middle>", "<fim-middle>"),
    "fim_suffix": ("<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>"),
}
_SENTINEL = "<extra_id_{}>"


def name_of(name: str) -> str:
    """What the special token with this name of `SpecialTokens.named` is called in a tokenizer trained here."""
    if name.startswith("sentinels["):
        return _SENTINEL.format(name[len("sentinels[") : -1])
    return {"bos": "<bos>", "eos": "<eos>"}.get(name, _NAMES[name][0])


def special_of(parsed: dict[str, Any], special: SpecialTokens | None) -> SpecialTokens:
    """The special ids of a tokenizer, given its JSON.

    Raises:
        ConfigError: `special` names an id that stands for text, or it has neither padding nor an end.
    """
    added = {token["content"]: token["id"] for token in parsed.get("added_tokens", ())}
    if special is not None:
        owners = {token: content for content, token in {**_vocabulary(parsed), **added}.items()}
        allowed = set(added.values()) | {_unknown_id(parsed)}
        for name, token in special.named():
            if token in owners and token not in allowed:
                raise ConfigError(
                    f"`{name}` is {token}, which is {owners[token]!r} in this tokenizer: give the id of one of its "
                    f"special tokens ({', '.join(f'{k!r}: {v}' for k, v in list(added.items())[:8])}), or one that "
                    f"it has not"
                )
        return special
    found = {
        field: next((added[name] for name in names if name in added), None) for field, names in _NAMES.items()
    }
    if found["bos"] is not None and found["bos"] == found["eos"]:  # one token for both, as in GPT-2
        found["bos"] = None
    pad = found.pop("pad")
    if pad is None:  # padding is masked anyway: an id of its own, behind all others
        pad = max([*_vocabulary(parsed).values(), *added.values()], default=-1) + 1
    sentinels: list[int] = []
    while (token := added.get(_SENTINEL.format(len(sentinels)))) is not None:
        sentinels.append(token)
    return SpecialTokens(pad=pad, sentinels=tuple(sentinels), **found)


def spelled_out(parsed: dict[str, Any], special: set[int]) -> dict[int, list[int]]:
    """Special ids that the model of a tokenizer makes of a text that has their name in it -> that name in other ids.

    UNK is none of them: the model gives it for what it does not know.
    """
    model, vocabulary = parsed.get("model", {}), _vocabulary(parsed)
    unknown = _unknown_id(parsed)
    names = {token: name for name, token in vocabulary.items() if token in special and token != unknown}
    if model.get("type") == "BPE" and not model.get("ignore_merges"):
        merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
        made = {left + right for left, right in merges}
        names = {token: name for token, name in names.items() if name in made or len(name) == 1}
    ordinary = {name: token for name, token in vocabulary.items() if token not in special}
    rest = [] if unknown is None else [unknown]
    if model.get("type") == "WordLevel":  # a part of a word is no word
        return dict.fromkeys(names, rest)
    within = model.get("continuing_subword_prefix") or ""
    return {token: _longest_pieces(name, ordinary, within, rest) for token, name in names.items()}


def _longest_pieces(name: str, pieces: dict[str, int], within: str, rest: list[int]) -> list[int]:
    """A name as pieces, the longest first; `rest` where there is none, unless there are bytes."""
    found: list[int] = []
    place = 0
    while place < len(name):
        begin = within if place else ""
        stops = range(len(name), place, -1)
        stop = next((stop for stop in stops if begin + name[place:stop] in pieces), None)
        if stop is None:
            stop = place + 1
            written = [pieces.get(f"<0x{byte:02X}>") for byte in name[place:stop].encode()]
            known = [piece for piece in written if piece is not None]
            found += known if len(known) == len(written) else rest
        else:
            found.append(pieces[begin + name[place:stop]])
        place = stop
    return found


def _vocabulary(parsed: dict[str, Any]) -> dict[str, int]:
    vocabulary = parsed.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):  # Unigram: pairs of a piece and its score
        return {piece: number for number, (piece, _) in enumerate(vocabulary)}
    return vocabulary


def _unknown_id(parsed: dict[str, Any]) -> int | None:
    model = parsed.get("model", {})
    return (
        model["unk_id"]
        if model.get("unk_id") is not None
        else _vocabulary(parsed).get(model.get("unk_token"))
    )
