"""Text files of any size as documents with random access: plain text, JSONL, CSV, TSV, Parquet, Arrow."""

from artifex.data.sources.text.listing import TextFormat as TextFormat
from artifex.data.sources.text.open import Unit as Unit
from artifex.data.sources.text.open import open_text as open_text
from artifex.data.sources.text.source import TextSource as TextSource
