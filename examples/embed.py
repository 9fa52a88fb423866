"""Embed texts with a backbone that also generates, and find the nearest one."""

import fmtbench
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.st import STEmbedBackend

encoder = Encoder(backbone=fmtbench.model("smollm2_135m"), pooling="mean", max_tokens=64)
texts = ["The capital of Peru is Lima.", "Lima lies in Peru.", "Two and two are four."]

with STEmbedBackend().open(encoder) as embedder:
    encoded = embedder.encode(texts)
similarity = encoded.vectors @ encoded.vectors.T
for text, row in zip(texts[1:], similarity[0][1:], strict=True):
    print(f"{row:.3f}  {text}")
