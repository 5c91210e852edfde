"""Whisper's architecture at a small width, trained on short windows.

faster-whisper always shows the encoder 30 s: 1500 positions, most of them padding. Here all positions from
`FIRST_CONSTANT_POSITION` on share one embedding, so that the padding behind an utterance is the same vector
1500 - n times. Training on n positions plus one for the padding, whose attention logit is raised by the
logarithm of that count, computes the same numbers on about a tenth of the positions.

The count is varied in training, from 20 positions (0.4 s) to all of the 30 s. So an encoder may be shown any
window that holds the utterance and that much padding; padding is features of zero.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from training.corpus import LONGEST_FRAMES, PHONEME_CLASSES

POSITIONS = 1500
FIRST_CONSTANT_POSITION = LONGEST_FRAMES // 2 + 10
MEL_BANDS = 80
TEXT_POSITIONS = 448


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of the network."""

    width: int = 128
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 2
    feed_forward: int = 512


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.k_proj = nn.Linear(size.width, size.width, bias=False)
        self.v_proj = nn.Linear(size.width, size.width)
        self.q_proj = nn.Linear(size.width, size.width)
        self.out_proj = nn.Linear(size.width, size.width)

    def forward(self, x: Tensor, source: Tensor, bias: Tensor | None, causal: bool) -> Tensor:
        """`bias` is added to the logits of attention."""
        queries, keys, values = (
            y.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for y in (self.q_proj(x), self.k_proj(source), self.v_proj(source))
        )
        # At this width the fused kernel is slower on a CPU, most of all backwards.
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        if causal:
            scores = scores + scores.new_full(scores.shape[-2:], -math.inf).triu(1)
        y = scores.softmax(-1).to(values.dtype) @ values
        projected: Tensor = self.out_proj(y.transpose(1, 2).flatten(2))
        return projected


class Layer(nn.Module):
    """One layer of the encoder, or of the decoder."""

    def __init__(self, size: Size, attends_encoder: bool) -> None:
        super().__init__()
        self.self_attn = Attention(size)
        self.self_attn_layer_norm = nn.LayerNorm(size.width)
        if attends_encoder:
            self.encoder_attn = Attention(size)
            self.encoder_attn_layer_norm = nn.LayerNorm(size.width)
        self.fc1 = nn.Linear(size.width, size.feed_forward)
        self.fc2 = nn.Linear(size.feed_forward, size.width)
        self.final_layer_norm = nn.LayerNorm(size.width)

    def forward(self, x: Tensor, encoded: Tensor | None, bias: Tensor) -> Tensor:
        """`bias` is for the positions of the encoder."""
        normal = self.self_attn_layer_norm(x)
        if encoded is None:
            x = x + self.self_attn(normal, normal, bias, causal=False)
        else:
            x = x + self.self_attn(normal, normal, None, causal=True)
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), encoded, bias, causal=False)
        fed: Tensor = x + self.fc2(gelu(self.fc1(self.final_layer_norm(x))))
        return fed


class Encoder(nn.Module):
    """From log-mel bands to one vector per 20 ms."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MEL_BANDS, size.width, 3, padding=1)
        self.conv2 = nn.Conv1d(size.width, size.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(POSITIONS, size.width)
        self.embed_positions.weight.data = _sinusoids(size.width)
        self.embed_positions.weight.requires_grad_(False)
        self.layers = nn.ModuleList(Layer(size, False) for _ in range(size.encoder_layers))
        self.layer_norm = nn.LayerNorm(size.width)

    def forward(self, mel: Tensor, stands_for: int | None = None) -> tuple[Tensor, Tensor]:
        """Returns the encoding and the attention bias; the last position must be padding.

        `stands_for` overrides how many positions of padding the last one represents.
        """
        x = gelu(self.conv2(gelu(self.conv1(mel)))).transpose(1, 2)
        count = x.shape[1]
        positions = self.embed_positions.weight
        x = x + torch.cat([positions[: count - 1], positions[-1:]])
        bias = torch.zeros(1, 1, 1, count, device=x.device)
        bias[..., -1] = math.log(stands_for or POSITIONS - (count - 1))
        for layer in self.layers:
            x = layer(x, None, bias)
        return self.layer_norm(x), bias


class Decoder(nn.Module):
    """From tokens so far to logits of the next."""

    def __init__(self, size: Size, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, size.width)
        self.embed_positions = nn.Embedding(TEXT_POSITIONS, size.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.08)
        nn.init.normal_(self.embed_positions.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(size, True) for _ in range(size.decoder_layers))
        self.layer_norm = nn.LayerNorm(size.width)

    def forward(self, tokens: Tensor, encoded: Tensor, bias: Tensor) -> Tensor:
        """All positions at once, each blind to those behind it."""
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, encoded, bias)
        logits: Tensor = self.layer_norm(x) @ self.embed_tokens.weight.T
        return logits


class TinyWhisper(nn.Module):
    """Parameters are named as in transformers' `WhisperModel`; `phonemes` serves training alone."""

    def __init__(self, size: Size, vocabulary: int) -> None:
        super().__init__()
        self.encoder = Encoder(size)
        self.decoder = Decoder(size, vocabulary)
        self.phonemes = nn.Linear(size.width, PHONEME_CLASSES)


def _sinusoids(width: int) -> Tensor:
    step = math.log(10000) / (width // 2 - 1)
    frequencies = torch.exp(-step * torch.arange(width // 2))
    angles = torch.arange(POSITIONS)[:, None] * frequencies[None]
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    table[FIRST_CONSTANT_POSITION:] = table[FIRST_CONSTANT_POSITION].clone()
    return table
