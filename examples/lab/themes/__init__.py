"""One file a theme. `load` imports all of them, and so registers their experiments."""

from importlib import import_module

THEMES = {
    "training": "Training and backpropagation",
    "presentation": "Batch, incremental, order",
    "rates": "Rates and convergence",
    "averaging": "Averaging",
    "noise": "Noise and batch size",
    "momentum": "Momentum",
    "second_order": "Second order",
    "surfaces": "Surfaces",
    "initialization": "Initialization and saturation",
    "minima": "Minima and generalization",
    "divergences": "Divergences",
    "normalization": "Normalization",
    "activations": "Activations",
}


def load() -> None:
    for name in THEMES:
        import_module(f"{__name__}.{name}")
