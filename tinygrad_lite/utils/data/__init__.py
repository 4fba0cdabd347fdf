"""Datasets, samplers, and the loader that makes batches of them."""

from tinygrad_lite.utils.data.collate import default_collate, default_convert
from tinygrad_lite.utils.data.dataloader import DataLoader
from tinygrad_lite.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinygrad_lite.utils.data.presentation import GrowingBatch, PresentationOrder, StreamLoader, geometric, milestones
from tinygrad_lite.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinygrad_lite.utils.data.worker import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataLoader", "Dataset", "GrowingBatch", "IterableDataset",
    "PresentationOrder", "RandomSampler", "Sampler", "SequentialSampler", "StackDataset", "StreamLoader", "Subset",
    "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "WorkerInfo", "default_collate", "default_convert",
    "geometric", "get_worker_info", "milestones", "random_split",
]  # fmt: skip
