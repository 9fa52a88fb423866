"""Load a backbone's weights as a stock sentence-transformers model, and save such a model as a folder.

This file avoids three silent failures. sentence-transformers wraps plain text in the chat template of any tokenizer that
has one, so the text modality is pinned. Tokenizers of decoder-only models append no EOS, and an EOS appended as text is
cut off long texts, so the post-processor appends it. `is_causal` has no effect when passed to `from_pretrained`, so it is
set on the config and saved with it.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fmtbench.backbone import Backbone, Weights, prepare
from fmtbench.embed.attention import set_attention
from fmtbench.embed.description import LoadedEncoder, check_backbone, write_description
from fmtbench.embed.spec import EncoderSpec, Pooling
from fmtbench.embed.templates import Role
from fmtbench.errors import UserError
from fmtbench.saving import saving

logger = logging.getLogger(__name__)

POOLING_MODES: dict[Pooling, str] = {
    "last_token": "lasttoken",
    "mean": "mean",
    "weighted_mean": "weightedmean",
    "first": "cls",
}
"""sentence-transformers' names for our poolings."""
TEXT_ONLY = {
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}


def load_backbone(backbone: Backbone, spec: EncoderSpec, adapters: Sequence[Path]) -> LoadedEncoder:
    """A fresh encoder on a backbone's weights."""
    weights = backbone.resolve()
    for adapter in adapters:
        check_adapter(adapter)
        check_backbone(adapter, backbone)
    if spec.layers and spec.layers > depth(weights):
        raise UserError(f"layers={spec.layers}: the backbone has {depth(weights)}; give at most as many, or null for all")
    transformer = _transformer(weights, backbone.dtype)
    if spec.layers:
        keep_layers(transformer.model, spec.layers)  # before adapters: one trained on these layers fits only them
    for adapter in adapters:
        transformer.model = merged(transformer.model, adapter)
    if spec.append_eos:
        append_eos(transformer.tokenizer)
    set_attention(transformer.model, spec.attention)
    return LoadedEncoder(model=assemble(transformer, spec), spec=spec, backbone=backbone.name, fingerprint=weights.fingerprint)


def _transformer(weights: Weights, dtype: str) -> Any:
    from sentence_transformers.base.modules import Transformer

    source, revision = str(prepare(weights)), {"revision": weights.revision} if weights.revision else {}
    model_kwargs = {"dtype": dtype, "use_safetensors": True, **revision}
    return Transformer(source, model_kwargs=model_kwargs, config_kwargs=revision, processor_kwargs=revision, **TEXT_ONLY)


def depth(weights: Weights) -> int:
    """How many layers a backbone has, according to its config."""
    from transformers import AutoConfig

    revision = {"revision": weights.revision} if weights.revision else {}
    return int(AutoConfig.from_pretrained(str(prepare(weights)), **revision).get_text_config().num_hidden_layers)


def check_stack(model: Any, asked: str) -> None:
    """Raises `UserError` if a model does not have the `layers` and the final `norm` of a decoder."""
    if not hasattr(model, "layers") or not hasattr(model, "norm"):
        raise UserError(f"{asked} needs a decoder's layers and final norm, which {type(model).__name__} has not: leave it out")


def keep_layers(model: Any, layers: int) -> None:
    """Drop all but this many first layers; the final norm stays. The config says so, and a saved folder is loaded accordingly."""
    check_stack(model, f"layers={layers}")
    model.layers = model.layers[:layers]
    model.config.num_hidden_layers = layers
    if kinds := getattr(model.config, "layer_types", None):
        model.config.layer_types = kinds[:layers]


def assemble(transformer: Any, spec: EncoderSpec) -> Any:
    """A `SentenceTransformer` of stock modules. A template that is only a prefix becomes one of its prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling as StockPooling

    tokenizer = transformer.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    transformer.max_seq_length = min(spec.max_tokens, tokenizer.model_max_length)
    dimension = transformer.get_embedding_dimension()
    pooling = StockPooling(dimension, pooling_mode=POOLING_MODES[spec.pooling], include_prompt=spec.include_prompt)
    roles: tuple[Role, ...] = ("query", "document")
    prompts = {role: prefix for role in roles if (prefix := spec.template.prefix(role))}
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], prompts=prompts)


def append_eos(tokenizer: Any) -> None:
    """Make the post-processor end every text with EOS, after the special tokens that it already adds."""
    from tokenizers.processors import TemplateProcessing

    around = tokenizer("").input_ids
    if around and around[-1] == tokenizer.eos_token_id:
        return
    if tokenizer.eos_token is None:
        raise UserError(f"the tokenizer of {tokenizer.name_or_path} has no EOS token: set append_eos=false")
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in tokenizer.convert_ids_to_tokens(around)]
    eos = (tokenizer.eos_token, tokenizer.eos_token_id)
    single = " ".join([*(f"{token}:0" for token, _ in special), "$A:0", f"{eos[0]}:0"])
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=[*special, eos])
    if tokenizer("a").input_ids[-1] != tokenizer.eos_token_id:
        raise UserError(f"the tokenizer of {tokenizer.name_or_path} does not append EOS: set append_eos=false")


def merged(model: Any, adapter: Path) -> Any:
    """The model with a PEFT adapter merged into its weights."""
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*missing adapter keys.*")
            return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (ValueError, RuntimeError, UserWarning) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"adapter {adapter} does not fit the backbone ({reason}): choose the one it was trained on") from error


def check_adapter(adapter: Path) -> None:
    """Raises `UserError` if PEFT would fall back to a pickle, or to the hub."""
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"adapter {adapter} holds no adapter_config.json: give a folder that PEFT saved")
    if not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(
            f"adapter {adapter} holds no adapter_model.safetensors, and a pickle can run code: save it as safetensors"
        )


def save(loaded: LoadedEncoder, folder: Path) -> None:
    """Write a folder for sentence-transformers and vLLM. It appears only once it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        with saving(folder):
            loaded.model.save_pretrained(str(part), create_model_card=False)
        if loaded.heads is not None:
            from fmtbench.embed.m3 import write_heads

            write_heads(part, loaded.heads)
        write_description(part, loaded)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
