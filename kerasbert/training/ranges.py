"""Between what the numbers of a configuration must lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasbert.errors import UsageError

if TYPE_CHECKING:
    from kerasbert.training.config import StageConfig, TrainingConfig


def check_ranges(config: TrainingConfig) -> None:
    """Checks every number of a configuration.

    Raises:
      UsageError: one lies outside.
    """
    checks = [
        ("data.max_length", config.data.max_length, 8, 512),
        ("data.overlap", config.data.overlap, 0, config.data.max_length // 2),
        ("model.dropout", config.model.dropout, 0.0, 0.9),
        ("optimizer.warmup", config.optimizer.warmup, 0.0, 1.0),
        ("optimizer.clip_norm", config.optimizer.clip_norm, 1e-9, 1e9),
        ("optimizer.weight_decay", config.optimizer.weight_decay, 0.0, 1.0),
        ("runtime.seed", config.runtime.seed, 0, 2**32 - 1),
        ("model.frozen_layers", config.model.frozen_layers, 0, 1000),
        ("predicate.threshold", config.predicate.threshold, 1e-6, 1 - 1e-6),
        ("joint.tuning", config.joint.tuning, 0.0, 0.5),
        ("joint.joined", config.joint.joined, 0.0, 1.0),
        ("joint.head_size", config.joint.head_size, 2, 4096),
        ("runtime.checkpoint_steps", config.runtime.checkpoint_steps, 1, 1e9),
        ("runtime.checkpoint_minutes", config.runtime.checkpoint_minutes, 0.0, 1e6),
        ("runtime.accumulate", config.runtime.accumulate, 1, 1e6),
    ]
    for name in ("predicate", "labeling", "joint"):
        stage: StageConfig = getattr(config, name)
        checks += [
            (f"{name}.epochs", stage.epochs, 1e-9, 1e6),
            (f"{name}.batch_size", stage.batch_size, 1, 1e6),
            (f"{name}.learning_rate", stage.learning_rate, 0.0, 1.0),
            (f"{name}.head_rate", stage.head_rate, 0.0, 1000.0),
        ]
    for key, value, low, high in checks:
        if not low <= value <= high:
            raise UsageError(f"{key} is {value}; it must lie between {low:g} and {high:g}")
    if config.joint.head_size % 2:
        raise UsageError(f"joint.head_size is {config.joint.head_size}; it must be even")
