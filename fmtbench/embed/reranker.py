"""A reranker as data: a model that reads a query and a document together and gives one score. Nothing is loaded until `load`.

    SequenceReranker(name="bge", hub_id="BAAI/bge-reranker-v2-m3")       a classifier with one label
    CausalReranker(name="qwen3", hub_id="Qwen/Qwen3-Reranker-0.6B", template="{query} {document} Does it answer?")

The score is the model's raw output, without a sigmoid, which would round the largest scores to 1: only the order within a query
matters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Dtype
from fmtbench.embed import folder as files
from fmtbench.embed.hub import hub_folder, is_hub_id
from fmtbench.embed.identity import file_hashes, sha256
from fmtbench.embed.loading import check_adapter, merged
from fmtbench.embed.pairs import filled, joined
from fmtbench.embed.templates import NAME
from fmtbench.errors import UserError

if TYPE_CHECKING:
    from fmtbench.embed.pair_scores import PairScorer

TRAINED = "teacher"
"""The folder in which a stage of `experiments.train` saves the cross-encoder that it trained."""
MODULES = ("Transformer", "LogitScore")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Reranker(ABC):
    """Give `path` or `hub_id`; a path takes precedence."""

    name: str
    """The name in its rows, as in `bm25+name`."""
    path: str | None = None
    """A cross-encoder's folder, or one of `experiments.train` whose recipe has a `CrossEncoder` stage."""
    hub_id: str | None = None
    revision: str | None = None
    """Commit of the hub repository; null takes what the hub or its local cache calls `main`."""
    dtype: Dtype = "auto"
    """`auto` is the dtype in which the weights are stored. The layer that gives the score computes in float32."""
    max_tokens: int | None = Field(default=None, gt=1)
    """The most tokens of query, document and everything around them; null takes the model's own limit."""
    batch_tokens: int = Field(default=16384, gt=0)
    """The most tokens in a batch, padding included. Scores do not depend on it."""

    transformer_task: ClassVar[str]
    """sentence-transformers' name for this kind of model."""
    module_output: ClassVar[str]
    """Its name for the output."""
    ending: ClassVar[str]
    """The end of its architecture's name."""
    remedy: ClassVar[str]

    def folder(self) -> Path:
        """The model's folder. Raises `UserError` if there is none."""
        if self.path is not None:
            return _local(Path(self.path).expanduser())
        if self.hub_id is not None:
            return hub_folder(self.hub_id, self.revision)
        raise UserError("no reranker: path and hub_id are not set: give reranker.path=FOLDER or reranker.hub_id=ORG/NAME")

    def identity(self) -> str:
        """sha256 of everything that determines the scores."""
        folder = self.folder()
        weights: Any = [self.hub_id, folder.name] if self.hub_id and self.path is None else file_hashes(folder)
        return sha256([type(self).__name__, weights, self.dtype, self.max_tokens, *self.asked()])

    def asked(self) -> list[Any]:
        """What a kind of reranker adds to the identity."""
        return []

    def check(self) -> None:
        """Check all that can be known before weights are loaded. Raises `UserError`."""
        folder = self.folder()
        files.check_architecture(folder)
        _check_modules(folder)
        config = files.read_config(folder / "config.json")
        found = str((config.get("architectures") or ["model without a head"])[0])
        if not found.endswith(self.ending):
            raise UserError(f"reranker {folder} is a {found}, not a ...{self.ending}: {self.remedy}")
        if not any(folder.glob("*.safetensors")):
            raise UserError(f"reranker {folder} holds no weights as safetensors: save it again, as save_pretrained does")
        self.limit(folder)
        self.check_kind(folder, config)

    @abstractmethod
    def check_kind(self, folder: Path, config: dict[str, Any]) -> None:
        """The checks of this kind of reranker. Raises `UserError`."""

    @abstractmethod
    def load(self) -> PairScorer:
        """Load the weights. Raises `UserError`."""

    def limit(self, folder: Path) -> int:
        """The most tokens of a pair. Raises `UserError` if nothing says how many."""
        known = [one for one in (self.max_tokens, *files.lengths(folder)) if one]
        if not known:
            raise UserError(f"reranker {folder} does not say how long a text may be: set reranker.max_tokens")
        return min(known)

    def transformer(self, folder: Path) -> Any:
        """The model as a sentence-transformers module for plain text; otherwise it would use a chat template if there is one."""
        from sentence_transformers.base.modules import Transformer

        return Transformer(
            str(folder),
            transformer_task=self.transformer_task,
            model_kwargs={"dtype": self.dtype, "use_safetensors": True, "local_files_only": True},
            config_kwargs={"local_files_only": True},
            processor_kwargs={"local_files_only": True},
            modality_config={"text": {"method": "forward", "method_output_name": "logits"}},
            module_output_name=self.module_output,
        )


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SequenceReranker(Reranker):
    """A sequence classifier with one label, on both texts as its tokenizer joins them (Nogueira & Cho 2019, arXiv 1901.04085)."""

    transformer_task: ClassVar[str] = "sequence-classification"
    module_output: ClassVar[str] = "scores"
    ending: ClassVar[str] = "ForSequenceClassification"
    remedy: ClassVar[str] = "a language model needs a template, as in conf/reranker/qwen3_reranker_0_6b.yaml"

    def check_kind(self, folder: Path, config: dict[str, Any]) -> None:
        labels = len(config.get("id2label") or range(config.get("num_labels") or 2))  # transformers writes neither for two
        if labels != 1:
            raise UserError(f"reranker {folder} has {labels} labels: a reranker has one, the score")

    def load(self) -> PairScorer:
        from fmtbench.embed.pair_scores import PairScorer

        self.check()
        folder = self.folder()
        module = self.transformer(folder)
        tokens = partial(joined, module.tokenizer, limit=self.limit(folder))
        return PairScorer([module], tokens, self.batch_tokens, module.tokenizer.padding_side)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CausalReranker(Reranker):
    """A language model that is asked whether the document answers the query (Nogueira et al. 2020, arXiv 2003.06713).

    The score is the logit of `true_word` less that of `false_word` as the token after the template's last word.
    """

    template: str
    """Everything that the model reads, chat markup included, with `{query}`, `{document}` and perhaps `{instruction}`."""
    true_word: str = "yes"
    false_word: str = "no"
    adapter: str | tuple[str, ...] | None = None
    """A PEFT adapter, or several: folders, or `ORG/NAME@COMMIT` of the hub. They are merged into the weights, in this order."""

    transformer_task: ClassVar[str] = "text-generation"
    module_output: ClassVar[str] = "causal_logits"
    ending: ClassVar[str] = "ForCausalLM"
    remedy: ClassVar[str] = "a classifier has no template: reranker=local takes one"

    @field_validator("template")
    @classmethod
    def _complete(cls, template: str) -> str:
        names = NAME.findall(template)
        if not {"query", "document"} <= set(names) <= {"query", "document", "instruction"} or names.count("document") > 1:
            raise ValueError(
                f"{template!r} must hold {{query}} and, once, {{document}}; it may hold {{instruction}}, no other name in braces"
            )
        return template

    def asked(self) -> list[Any]:
        return [self.template, self.true_word, self.false_word, [file_hashes(one) for one in self.adapters()]]

    def adapters(self) -> list[Path]:
        """The adapters' folders, in the order in which they are merged."""
        return [hub_folder(one) if is_hub_id(one) else Path(one).expanduser() for one in self._named()]

    def _named(self) -> tuple[str, ...]:
        return (self.adapter,) if isinstance(self.adapter, str) else self.adapter or ()

    def check_kind(self, folder: Path, config: dict[str, Any]) -> None:
        from transformers import AutoTokenizer

        for one in self.adapters():
            check_adapter(one)
            self._check_base(one)
        self.words(AutoTokenizer.from_pretrained(folder, local_files_only=True), folder)

    def _check_base(self, adapter: Path) -> None:
        base = files.read_config(adapter / "adapter_config.json").get("base_model_name_or_path")
        if self.hub_id and base and is_hub_id(base) and base != self.hub_id:
            raise UserError(f"adapter {adapter} was trained on {base}, the reranker is {self.hub_id}: choose one of its own")

    def words(self, tokenizer: Any, folder: Path) -> tuple[int, int]:
        """The tokens of both words. Raises `UserError` if either is not a single token, or both are the same."""
        words = {"true_word": self.true_word, "false_word": self.false_word}
        ids = {name: tokenizer(word, add_special_tokens=False).input_ids for name, word in words.items()}
        for name, found in ids.items():
            if len(found) != 1 or found[0] == tokenizer.unk_token_id:
                got = "unknown" if len(found) == 1 else f"{len(found)} tokens"
                raise UserError(f"reranker.{name}={words[name]!r} is {got} in {folder}: give a word that is one token there")
        if ids["true_word"] == ids["false_word"]:
            raise UserError(f"reranker.true_word and reranker.false_word are both {self.true_word!r}: give two words")
        return int(ids["true_word"][0]), int(ids["false_word"][0])

    def load(self) -> PairScorer:
        from sentence_transformers.cross_encoder.modules import LogitScore

        from fmtbench.embed.pair_scores import PairScorer

        self.check()
        folder = self.folder()
        module = self.transformer(folder)
        for one in self.adapters():
            module.model = merged(module.model, one)
        score = LogitScore(*self.words(module.tokenizer, folder))
        tokens = partial(filled, module.tokenizer, template=self.template, limit=self.limit(folder))
        return PairScorer([module, score], tokens, self.batch_tokens, "left")


def _local(path: Path) -> Path:
    """The folder itself, or the one that experiments.train left inside it."""
    if (path / "config.json").is_file():
        return path
    trained = sorted(one.parent for one in path.glob(f"**/stages/*/{TRAINED}/config.json"))
    if len(trained) == 1:
        return trained[0]
    inside = f"{len(trained)} trained cross-encoders ({', '.join(map(str, trained))}): give one of them"
    raise UserError(f"reranker {path} holds {inside if trained else 'no config.json: give the folder of a cross-encoder'}")


def _check_modules(folder: Path) -> None:
    """Raises `UserError` if something other than the model gives the score."""
    listed: Any = files.read_config(folder / "modules.json") or []
    types = [str(module["type"]) for module in listed]
    known = [kind for kind in types if kind.startswith("sentence_transformers.") and kind.rsplit(".", 1)[-1] in MODULES]
    if known != types:
        raise UserError(f"reranker {folder} has the modules {types}: supported are {', '.join(MODULES)} of its library")
