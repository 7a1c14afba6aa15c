"""Kinds of data. A modality is a folder here and one `register_modality` line below."""

from artifex.generative_models.modalities.audio.base import AudioModality as AudioModality
from artifex.generative_models.modalities.audio.config import AudioModalityConfig as AudioModalityConfig
from artifex.generative_models.modalities.audio.config import SpectrogramType as SpectrogramType
from artifex.generative_models.modalities.base import BaseDataset as BaseDataset
from artifex.generative_models.modalities.base import BaseModalityConfig as BaseModalityConfig
from artifex.generative_models.modalities.base import (
    BaseModalityImplementation as BaseModalityImplementation,
)
from artifex.generative_models.modalities.base import BaseProcessor as BaseProcessor
from artifex.generative_models.modalities.base import Modality as Modality
from artifex.generative_models.modalities.base import collate as collate
from artifex.generative_models.modalities.dataset import RecordDataset as RecordDataset
from artifex.generative_models.modalities.dataset import Subset as Subset
from artifex.generative_models.modalities.dataset import split_dataset as split_dataset
from artifex.generative_models.modalities.image.base import ImageModality as ImageModality
from artifex.generative_models.modalities.image.base import ImageModalityConfig as ImageModalityConfig
from artifex.generative_models.modalities.image.base import ImageRepresentation as ImageRepresentation
from artifex.generative_models.modalities.image.base import ValueRange as ValueRange
from artifex.generative_models.modalities.mixture import MixedDataset as MixedDataset
from artifex.generative_models.modalities.registry import create_modality as create_modality
from artifex.generative_models.modalities.registry import get_modality as get_modality
from artifex.generative_models.modalities.registry import list_modalities as list_modalities
from artifex.generative_models.modalities.registry import register_modality as register_modality
from artifex.generative_models.modalities.text.base import TextModality as TextModality
from artifex.generative_models.modalities.text.config import TextParams as TextParams

register_modality("image", ImageModality)
register_modality("text", TextModality)
register_modality("audio", AudioModality)
