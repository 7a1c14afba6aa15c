"""Contracts: subclass one in a test, say how to build the thing, inherit the tests."""

from artifex.testing.codec import CodecContract as CodecContract
from artifex.testing.source import SourceContract as SourceContract
from artifex.testing.tokenizer import TokenizerContract as TokenizerContract
