"""The cases with texts: tokenized on the fly, from tokens that are there already, and packing by itself."""

from functools import partial
from typing import Any

from benchmarks import checks, data, who
from benchmarks.registry import Case

BATCH, LENGTH = 64, 512

_IDS = partial(checks.array, shape=(BATCH, LENGTH), dtype="int32")
_LIBRARY = "`encode_batch_fast`"
_CUT = "`ConcatThenSplitIterDataset`"


def all_cases() -> list[Case]:
    """In the order of the page."""
    return [_padded(), _packed(), _tokenize(), _padded_tokens(), _packed_tokens(), _segments(), _packing()]


def _case(name: str, title: str, item: str, **more: Any) -> Case:
    return Case(
        name=name,
        group=name.split("-")[0],
        title=title,
        item=item,
        items_per_batch=BATCH,
        field="text_tokens",
        check=_IDS,
        **more,
    )


def _padded() -> Case:
    documents = "of_artifex:documents"
    return _case(
        "text-padded",
        "200,000 documents, byte-level BPE of 10,000, padded to 512, batch 64",
        "document",
        make=data.documents,
        compare=checks.padded,
        contenders=(
            who.hand("by hand: tiktoken", "by_hand:documents", "two threads", engine="tiktoken"),
            who.hand(
                "by hand: tokenizers",
                "by_hand:documents",
                f"{_LIBRARY} of 512, a thread",
                engine="tokenizers",
            ),
            who.artifex_with_texts("artifex", documents, "Parquet, no settings"),
            who.artifex_with_texts("artifex: list", documents, "texts in memory", in_memory=True),
            who.grain(
                "grain: MapDataset of rows", "of_grain:documents", f"{_LIBRARY} of a batch, two threads"
            ),
            who.grain(
                "grain: 2 processes",
                "of_grain:documents",
                f"{_LIBRARY} of a batch, `mp_prefetch`",
                processes=2,
            ),
            who.grain(
                "grain: MapDataset", "of_grain:documents_one_by_one", "one document at a time", threads=2
            ),
            who.torch("torch", "of_torch:documents", f"`__getitems__`, {_LIBRARY}", workers=0),
            who.torch("torch: 2 workers", "of_torch:documents", f"`__getitems__`, {_LIBRARY}", workers=2),
            who.torch(
                "torch: tiktoken, 2 workers",
                "of_torch:documents",
                "`__getitems__`, with the loop by hand's encoder",
                workers=2,
                by_tiktoken=True,
            ),
            who.tensorflow("tf.data", "of_tensorflow:documents", f"`numpy_function`, {_LIBRARY}, AUTOTUNE"),
            who.datasets("HF datasets", "of_datasets:documents", f"`shuffle`, `iter`, {_LIBRARY}"),
        ),
    )


def _packed() -> Case:
    return _case(
        "text-packed",
        "200,000 documents, byte-level BPE of 10,000, one after the other in rows of 512, batch 64",
        "row",
        make=data.documents,
        compare=checks.packed,
        contenders=(
            who.hand("by hand: tiktoken", "by_hand:documents", "two threads", engine="tiktoken", packed=True),
            who.hand(
                "by hand: tokenizers",
                "by_hand:documents",
                f"{_LIBRARY} of 512, a thread",
                engine="tokenizers",
                packed=True,
            ),
            who.grain(
                "grain: MapDataset of rows",
                "of_grain:documents",
                f"{_LIBRARY} of a batch, two threads, {_CUT} for a batch",
                packed=True,
            ),
            who.grain(
                "grain: 2 processes",
                "of_grain:documents",
                f"{_LIBRARY} of a batch, `mp_prefetch`, {_CUT} for a batch",
                processes=2,
                packed=True,
            ),
            who.grain(
                "grain: MapDataset",
                "of_grain:documents_one_by_one",
                f"one document at a time, {_CUT}",
                threads=2,
                packed=True,
            ),
            who.torch("torch", "of_torch:packed_documents", f"`IterableDataset`, {_LIBRARY}", workers=0),
            who.torch(
                "torch: 2 workers", "of_torch:packed_documents", f"`IterableDataset`, {_LIBRARY}", workers=2
            ),
            who.tensorflow(
                "tf.data", "of_tensorflow:documents", f"`numpy_function`, {_LIBRARY}, `rebatch`", packed=True
            ),
            who.datasets("HF datasets", "of_datasets:documents", f"{_LIBRARY} of 512", packed=True),
        ),
    )


def _tokenize() -> Case:
    return Case(
        name="tokenize",
        group="tokenize",
        title=f"{data.FIRST:,} documents tokenized once, into a file",
        item="document",
        items_per_batch=data.FIRST,
        make=data.tokens,
        compare=checks.as_many_tokens,
        warm_batches=0,
        least_batches=1,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: tiktoken", "by_hand:tokenize", "two threads, `np.save`"),
            who.artifex_with_texts("artifex", "of_artifex:tokenize", "`tokenized()`"),
            who.datasets("HF datasets", "of_datasets:tokenize", f"`map`, {_LIBRARY} of 1,000"),
        ),
    )


def _padded_tokens() -> Case:
    return _case(
        "tokens-padded",
        "200,000 documents that were tokenized before, padded to 512, batch 64",
        "document",
        make=data.tokens,
        compare=checks.padded,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: gather", "by_hand:padded_tokens", "one gather from the mapped file, masked"),
            who.hand("by hand: slices", "by_hand:sliced_tokens", "a slice of the mapped file per document"),
            who.artifex_with_texts("artifex", "of_artifex:padded_tokens", "`tokenized()`"),
            who.grain("grain: MapDataset of rows", "of_grain:padded_tokens", "row numbers, sliced by hand"),
            who.torch("torch", "of_torch:padded_tokens", "`__getitems__`, sliced by hand"),
            who.datasets(
                "HF datasets", "of_datasets:mapped_tokens", "padded rows, format numpy", packed=False
            ),
        ),
    )


def _packed_tokens() -> Case:
    packed = "of_artifex:packed_tokens"
    return _case(
        "tokens-packed",
        "200,000 documents that were tokenized before, in rows of 512, batch 64",
        "row",
        make=data.tokens,
        compare=checks.packed,
        has_first_batch=False,
        contenders=(
            who.hand(
                "by hand: rows", "by_hand:packed_tokens", "one gather of rows; documents stay in their order"
            ),
            who.artifex_with_texts(
                "artifex: in order",
                packed,
                '`packed(method="concat", shuffle=False, with_segments=False)`',
                method="concat",
                shuffle=False,
                with_segments=False,
            ),
            who.grain("grain: MapDataset of rows", "of_grain:packed_tokens", "row numbers, gathered by hand"),
            who.torch("torch", "of_torch:packed_tokens", "`__getitems__`, gathered by hand"),
            who.datasets("HF datasets", "of_datasets:mapped_tokens", "rows, format numpy", packed=True),
        ),
    )


def _segments() -> Case:
    packed = "of_artifex:packed_tokens"
    return _case(
        "tokens-segments",
        "200,000 documents that were tokenized before, in rows of 512 with segments and positions, batch 64",
        "row",
        make=data.tokens,
        compare=checks.packed,
        has_first_batch=False,
        contenders=(
            who.hand(
                "by hand: rows",
                "by_hand:packed_tokens_with_segments",
                "a gather of rows from each of three tables; documents stay in their order",
            ),
            who.artifex_with_texts(
                "artifex: in order",
                packed,
                '`packed(method="concat", shuffle=False)`',
                method="concat",
                shuffle=False,
            ),
            who.artifex_with_texts(
                "artifex: concat", packed, '`packed(method="concat")`: documents shuffled', method="concat"
            ),
            who.artifex_with_texts("artifex: best fit", packed, "`packed()`: whole documents"),
        ),
    )


def _packing() -> Case:
    return Case(
        name="packing",
        group="packing",
        title="Best-fit packing of 1,000,000 documents into rows of 512",
        item="packing",
        items_per_batch=1,
        make=partial(data.lengths, count=1_000_000, row_length=LENGTH),
        compare=checks.as_many_rows,
        warm_batches=0,
        least_batches=1,
        has_first_batch=False,
        contenders=(
            who.hand("by hand: lists in Python", "by_hand:best_fit", "a list of rows for each room left"),
            who.artifex_with_texts("artifex", "of_artifex:best_fit", "`pack_best_fit`"),
        ),
    )
