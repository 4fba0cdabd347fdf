"""Collating under the module path that PyTorch programs import it from."""

from tinygrad_lite.utils.data.collate import default_collate as default_collate
from tinygrad_lite.utils.data.collate import default_convert as default_convert
