"""The one-pass architecture as it is usually written in PyTorch and transformers: padded batches and dense tables.

A peer to measure beside, for which `torch` and `transformers` have to be installed by hand.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.models.encoder import EncoderConfig
from kerasbert.training.examples import Examples

BATCH = 32
MAX_LENGTH = 256
MISSING = "no PyTorch peer: it needs `pip install torch transformers`"


def available() -> bool:
    """Whether the peer can be built here."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers"))


def model(config: EncoderConfig, predicates: int, head_size: int = 64) -> Any:
    """An untrained model: BERT, a gate over the maximum of its states, and three dense GlobalPointer heads."""
    import torch
    from transformers import BertConfig, BertModel

    class Pointer(torch.nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.projection = torch.nn.Linear(config.hidden_size, 2 * head_size)
            self.channels = torch.nn.Linear(config.hidden_size, 2 * channels)

        def forward(self, states: Any) -> Any:
            queries, keys = self.projection(states).chunk(2, dim=-1)
            queries, keys = _rotated(queries), _rotated(keys)
            base = queries @ keys.transpose(1, 2) / head_size**0.5
            first, second = self.channels(states).transpose(1, 2).chunk(2, dim=1)
            return base[:, None] + first[..., None] + second[:, :, None]

    class Joint(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shape = BertConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                intermediate_size=config.intermediate_size,
            )
            self.bert = BertModel(shape, add_pooling_layer=False)
            self.gate = torch.nn.Linear(config.hidden_size, predicates)
            self.spans, self.heads, self.tails = (Pointer(channels) for channels in (2, predicates, predicates))

        def forward(self, ids: Any, mask: Any, text: Any) -> tuple[Any, Any, Any, Any]:
            states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            highest = states.masked_fill(~text[..., None], -1e9).amax(dim=1)
            allowed = (text[:, :, None] & text[:, None, :])[:, None]
            heads, tails = (table(states).masked_fill(~allowed, -1e9) for table in (self.heads, self.tails))
            spans = self.spans(states).masked_fill(~allowed.triu(), -1e9)
            return self.gate(highest), spans, heads, tails

    return Joint()


def _rotated(vectors: Any) -> Any:
    import torch

    half = vectors.shape[-1] // 2
    angles = torch.arange(vectors.shape[1])[:, None] * 10000.0 ** (-torch.arange(half) / half)
    left, right = vectors.chunk(2, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)


class TorchExtractor:
    """Raw text to triples: the fast tokenizer, batches of 32 padded to their longest text, decoding of each text.

    Args:
      config: shape of the encoder.
      vocabulary: its `vocab.txt`.
      predicates: how many.
      sample: texts by which the biases are set so that the untrained model proposes as much as a trained one.
      proposed: predicates, and spans of each kind, a text.
    """

    def __init__(
        self, config: EncoderConfig, vocabulary: Path, predicates: int, sample: Sequence[str], proposed: int
    ) -> None:
        import torch
        from transformers import BertTokenizerFast

        torch.manual_seed(0)
        self._tokenizer = BertTokenizerFast(str(vocabulary), do_lower_case=True)
        self._model = model(config, predicates).eval()
        with torch.inference_mode():
            gate, spans, _, _ = next(self._scores(sample))[0]
            self._model.gate.bias -= gate.flatten().sort().values[-proposed * len(gate)]
            for role in (0, 1):
                scores = spans[:, role].flatten().sort().values
                # The linear term of a span's first token carries the bias of its kind.
                self._model.spans.channels.bias[role] -= scores[-proposed * len(gate)]

    def _scores(self, texts: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for start in range(0, len(texts), BATCH):
            batch = self._tokenizer(
                list(texts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
                return_offsets_mapping=True,
            )
            offsets = batch["offset_mapping"]
            text = (offsets[..., 1] > offsets[..., 0]) & (batch["attention_mask"] > 0)
            yield self._model(batch["input_ids"], batch["attention_mask"], text), offsets.numpy()

    def extract(self, texts: Sequence[str]) -> list[list[tuple[str, int, str]]]:
        """Subject, predicate and object of every triple, a list a text."""
        import torch

        found: list[list[tuple[str, int, str]]] = []
        with torch.inference_mode():
            for (gate, spans, heads, tails), offsets in self._scores(texts):
                tables = [np.asarray(part) for part in (gate, spans, heads, tails)]
                for scores in zip(*tables, offsets, strict=True):
                    found.append(_decode(texts[len(found)], *scores))
        return found


def _decode(
    text: str, gate: np.ndarray, spans: np.ndarray, heads: np.ndarray, tails: np.ndarray, offsets: np.ndarray
) -> list[tuple[str, int, str]]:
    subjects, objects = (np.argwhere(spans[role] > 0) for role in (0, 1))
    triples = []
    for predicate in np.flatnonzero(gate > 0):
        for first, last in subjects:
            for start, end in objects:
                if heads[predicate, first, start] > 0 and tails[predicate, last, end] > 0:
                    subject = text[offsets[first, 0] : offsets[last, 1]]
                    triples.append((subject, int(predicate), text[offsets[start, 0] : offsets[end, 1]]))
    return triples


def training_task(
    config: EncoderConfig, predicates: int, examples: Examples, batches: Sequence[np.ndarray]
) -> Callable[[], None]:
    """A task of training steps, one for each array of example numbers; batches are padded to their longest example."""
    import torch

    torch.manual_seed(0)
    network = model(config, predicates)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    data = []
    for numbers in batches:
        inputs, labels = examples.batch(numbers)
        ids, mask = (torch.from_numpy(np.asarray(inputs[name])).long() for name in ("input_ids", "input_mask"))
        places = torch.arange(ids.shape[1])
        text = (places > 0) & (places < mask.sum(dim=1, keepdim=True) - 1)
        data.append((ids, mask, text, torch.from_numpy(labels).long()))

    def task() -> None:
        for ids, mask, text, labels in data:
            optimizer.zero_grad(set_to_none=True)
            gate, spans, heads, tails = network(ids, mask, text)
            stated = _targets(gate, labels, (0,))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(gate, stated, reduction="sum")
            roles = labels.clone()
            for role, columns in ((0, (1, 2)), (1, (3, 4))):
                roles[..., 0] = torch.where(labels[..., 1] >= 0, role, -1)
                loss = loss + _multilabel(spans[:, role : role + 1], _targets(spans, roles, (0, *columns))[:, [role]])
            linked = labels.clone()
            linked[..., 0] = torch.where(labels[..., 1] >= 0, labels[..., 0], -1)
            loss = loss + _multilabel(heads, _targets(heads, linked, (0, 1, 3)))
            loss = loss + _multilabel(tails, _targets(tails, linked, (0, 2, 4)))
            (loss / len(ids)).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    return task


def _targets(scores: Any, labels: Any, columns: tuple[int, ...]) -> Any:
    """1.0 at the labelled places of a table of scores whose axes after the first are these columns of the labels."""
    import torch

    targets = torch.zeros_like(scores)
    rows, numbers = torch.nonzero(labels[..., 0] >= 0, as_tuple=True)
    chosen = labels[rows, numbers]
    targets[(rows, *(chosen[:, column] for column in columns))] = 1.0
    return targets


def _multilabel(scores: Any, targets: Any) -> Any:
    """The multilabel cross-entropy of Su et al. over dense tables [batch, channels, length, length], summed."""
    import torch

    scores, targets = scores.flatten(2), targets.flatten(2)
    signed = (1 - 2 * targets) * scores
    zero = torch.zeros_like(signed[..., :1])
    others = torch.cat([signed - targets * 1e12, zero], dim=-1).logsumexp(dim=-1)
    labelled = torch.cat([signed - (1 - targets) * 1e12, zero], dim=-1).logsumexp(dim=-1)
    return (others + labelled).sum()
