"""Datasets of texts that are token ids already: in rows of one length, of a few lengths, packed, or in windows."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Key

from artifex.data.checks import check_choice, check_size
from artifex.data.device import Step
from artifex.data.documents import Documents
from artifex.data.errors import ConfigTypeError
from artifex.data.faults import BadRecord
from artifex.data.packed import PackedReader
from artifex.data.padded import PaddedReader, bucket_edges, length_buckets, padded_to_longest
from artifex.data.plan.packing import Packing, pack_best_fit, pack_concat
from artifex.data.reader import Reader
from artifex.data.types import Split
from artifex.data.windows import WindowReader
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.base import RngStreams
from artifex.generative_models.modalities.dataset import RecordDataset
from artifex.generative_models.modalities.text.config import TextParams


class PackMethod(StrEnum):
    """How documents share rows."""

    BEST_FIT = "best_fit"
    """Whole documents, each in the fullest row that holds it."""
    CONCAT = "concat"
    """One after another, cut at every row's end."""


class TokenDataset(RecordDataset):
    """Documents of token ids, each in a row of `max_length`: cut, with its EOS kept, or filled up with padding.

    Fields of a batch, all int32: `text_tokens` (b, max_length), `length` (b,), and `index`. The methods give the same
    documents in other rows. The rows of each are planned from the lengths of the documents alone; a loader shuffles
    them, splits them over hosts and resumes as with any dataset.

    Args:
        config: a `ModalityConfiguration` with fields of `TextParams` in `metadata["text_params"]`, or a `TextParams`:
            for the length, and the ids of padding and EOS.
        documents: BOS and EOS are in them, if there are such: e.g. a `TokenArrays`.
        split: what part of the data it is.
        rngs: one key is drawn from it, unless there is a `root_key`.
        root_key: what is random about the dataset follows from it.
        bad_records: texts that have no number here, since they could not be had.
        folder: where the documents lie, if they are in files; see `open_tokens`.

    Attributes:
        params: the settings of the sequences.
        documents: the token ids, by number.
        packing: which pieces stand in which row, after `packed`; else None.
        bad_records: as it was given.
        folder: as it was given.
    """

    def __init__(
        self,
        config: BaseModalityConfig | None,
        documents: Documents,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        root_key: Key[Array, ""] | None = None,
        bad_records: tuple[BadRecord, ...] = (),
        folder: Path | None = None,
    ) -> None:
        self.params = TextParams.of(config)
        if not isinstance(documents, Documents):
            raise ConfigTypeError(
                f"`documents` must be documents of token ids, e.g. `TokenArrays.from_documents([[5, 6], [7]])`, got "
                f"{type(documents).__name__}"
            )
        super().__init__(TextParams() if config is None else config, split, rngs=rngs, root_key=root_key)
        self.documents, self.bad_records, self.folder = documents, bad_records, folder
        self.packing: Packing | None = None
        self._reader: Reader = PaddedReader(documents, self.params.max_length, *self._ends())

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens in each document, BOS and EOS included: int32 (n,)."""
        return self.documents.lengths

    def reader(self) -> Reader:
        return self._reader

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        return ()

    def padded(self, lengths: int | Sequence[int]) -> "TokenDataset":
        """Each document in a row of one length; or each batch in the least of several lengths that holds all of it.

        Which documents come in a batch is the same for all, so a few lengths save the padding that most batches do
        not need, at the price of one compilation for each length.

        Args:
            lengths: one, or several that rise; longer documents are cut to the last. See `bucket_edges`.

        Raises:
            ConfigError: a length is below 1, or they do not rise.
        """
        if isinstance(lengths, (int, np.integer)):
            return self._through(PaddedReader(self.documents, int(lengths), *self._ends()))
        return self._through(padded_to_longest(self.documents, lengths, *self._ends()))

    def bucketed(self, lengths: int | Sequence[int] = 8, *, multiple: int = 8) -> "TokenDataset":
        """Each document in a row of the least of a few lengths that holds it; a batch has rows of one length.

        Args:
            lengths: those lengths, rising, the last for all longer documents too; or how many there are to be: those
                then that pad least, up to `max_length`.
            multiple: what each is a multiple of, where they are chosen.

        Raises:
            ConfigError: a setting is out of range, or the lengths do not rise.
        """
        if isinstance(lengths, (int, np.integer)):
            longest = self.params.max_length
            lengths = bucket_edges(self.lengths, int(lengths), multiple=multiple, longest=longest)
        return self._through(length_buckets(self.documents, lengths, *self._ends()))

    def packed(
        self,
        row_length: int | None = None,
        *,
        method: str | PackMethod = PackMethod.BEST_FIT,
        shuffle: bool = True,
        seed: int = 0,
        with_segments: bool = True,
    ) -> "TokenDataset":
        """Several documents in a row. Fields: `text_tokens`, `segment_ids` and `positions`, int32 (row_length,) each.

        A document that is longer than a row is cut; its rest is packed like another document. Every token of every
        document stands in exactly one row.

        Args:
            row_length: tokens in a row; None for `max_length`.
            method: "best_fit" keeps documents whole; "concat" puts them one after another, cut at every row's end.
            shuffle: whether documents come together by chance, or as they lie in the corpus.
            seed: of that chance, from 0 to 2**64 - 1.
            with_segments: False leaves `segment_ids` and `positions` out.

        Raises:
            ConfigError: a setting is out of range.
        """
        length = self.params.max_length if row_length is None else check_size("row_length", row_length)
        pack = (
            pack_best_fit
            if check_choice(PackMethod, "method", method) is PackMethod.BEST_FIT
            else pack_concat
        )
        packing = pack(self.lengths, length, shuffle=shuffle, seed=seed)
        reader = PackedReader(self.documents, packing, self.params.pad_token_id, with_segments)
        dataset = self._through(reader)
        dataset.packing = packing
        return dataset

    def windows(self, length: int | None = None, stride: int | None = None) -> "TokenDataset":
        """Each document as overlapping windows. Fields: `text_tokens` (length,), `length`, `document`, `start`.

        Args:
            length: tokens in a window; None for `max_length`.
            stride: from one window to the next, from 1 to `length`; None for `length`: windows do not overlap.

        Raises:
            ConfigError: a setting is out of range.
        """
        length = self.params.max_length if length is None else length
        return self._through(
            WindowReader(
                self.documents, length, length if stride is None else stride, self.params.pad_token_id
            )
        )

    def _through(self, reader: Reader) -> "TokenDataset":
        """The same documents by another reader."""
        dataset = TokenDataset(
            self.config,
            self.documents,
            self.split,
            rngs=self.rngs,
            root_key=self.root_key,
            bad_records=self.bad_records,
            folder=self.folder,
        )
        dataset._reader = reader
        return dataset

    def _ends(self) -> tuple[int, int | None]:
        return self.params.pad_token_id, self.params.eos_token_id
