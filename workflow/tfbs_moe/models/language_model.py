"""A pretrained genomic language model as an expert, frozen or fine-tuned.

For models of the ``transformers`` library whose tokens are k-mers or single bases (DNABERT-3 to -6, the Nucleotide
Transformer, character-level models), from a local folder or the hub; only safetensors are read, and no code of theirs.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.expert import Expert, ExpertParameters, check_positions
from tfbs_moe.models.parameters import as_json
from tfbs_moe.sequence import ALPHABET

# All 4^k k-mers are looked up in the vocabulary.
_LONGEST_KMER = 8


@dataclass(frozen=True)
class LanguageModelParameters(ExpertParameters):
    """Hyper-parameters of a language model expert."""

    model: str = ""  # folder of the pretrained model, or its name on the hub
    revision: str | None = None  # commit or tag on the hub; None for the newest
    kmer: int = 6  # bases per token
    # Bases between token starts: 1 for overlapping k-mers (DNABERT), ``kmer`` for consecutive ones (Nucleotide
    # Transformer). Bases that fill no token are dropped.
    stride: int = 1
    frozen: bool = True  # train only the head
    dropout: float = 0.1  # of the embedding
    # The model's own configuration: filled in from ``model`` and kept in the bundle, which then needs neither the
    # folder nor the hub.
    config: dict[str, Any] | None = None


class LanguageModel(Expert):
    """Mean of a language model's last hidden states, and a head."""

    Parameters = LanguageModelParameters
    # A class of the transformers library, which may not be installed.
    body: Any
    stackable: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "network.dropout": {"low": 0.0, "high": 0.4},
        "training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "training.weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    }

    tokens: torch.Tensor  # int64 (4^k,), token ID of each k-mer in the order of ``ALPHABET``
    special: torch.Tensor  # int64 (3,), IDs of the first, the last and the unknown token

    def __init__(self, window: int, hyperparameters: Mapping[str, Any]) -> None:
        """Build the expert; without ``config`` the pretrained weights are read from ``model``.

        Raises InputError if ``transformers`` is missing, the model unreadable, or its vocabulary not of ``kmer`` bases.
        """
        super().__init__(window, hyperparameters)
        settings: LanguageModelParameters = self.settings
        if not 1 <= settings.kmer <= _LONGEST_KMER or settings.stride < 1:
            raise InputError(
                f"language model: kmer is {settings.kmer}, stride {settings.stride}; "
                f"kmer must be from 1 to {_LONGEST_KMER} and stride at least 1"
            )
        check_positions(1 + (window - settings.kmer) // settings.stride, window, f"tokens of {settings.kmer} bases")
        library = _transformers()
        if settings.config is None:
            self.body, tokens, special = _pretrained(library, settings)
            self.settings = replace(settings, config=self.body.config.to_dict())
            self.hyperparameters = as_json(self.settings)
        else:
            # A bundle fills in weights and token IDs.
            kind = settings.config.get("model_type", "")
            try:
                config = library.AutoConfig.for_model(**{**settings.config, "model_type": kind})
                self.body = library.AutoModel.from_config(config, trust_remote_code=False)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"language model: its configuration cannot be used: {error}") from None
            tokens = torch.zeros(4**settings.kmer, dtype=torch.int64)
            special = torch.zeros(3, dtype=torch.int64)
        self.register_buffer("tokens", tokens)
        self.register_buffer("special", special)
        # Attention sees the whole sequence.
        self.receptive_field = window
        self.body.requires_grad_(not settings.frozen)
        self.add_head(self.body.config.hidden_size, nn.Dropout(settings.dropout))

    def train(self, mode: bool = True) -> "LanguageModel":
        """Set training mode; a frozen model stays in evaluation mode, without its dropout."""
        super().train(mode)
        if self.settings.frozen:
            self.body.eval()
        return self

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        words = self.body.get_input_embeddings().weight
        frame = words[self.special[:2]].expand(len(x), 2, -1)
        embedded = torch.cat([frame[:, :1], self._embed_tokens(x, words), frame[:, 1:]], dim=1)
        mask = torch.ones(embedded.shape[:2], dtype=torch.int64, device=x.device)
        states = self.body(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        return self.embed_features(states[:, 1:-1].mean(dim=1))

    def _embed_tokens(self, x: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return the input embeddings (N, tokens, hidden) of sequences (N, 4, L)."""
        kmer, stride = self.settings.kmer, self.settings.stride
        windows = x.unfold(2, kmer, stride)  # (N, 4, tokens, k)
        if x.requires_grad or not ((x == 0) | (x == 1)).all():
            # For a gradient and for mixed columns (neutral ones hold 0.25 of each base), weigh each k-mer's embedding
            # by the product of its bases' input values: the same result for one-hot input. What an unknown base leaves
            # over goes to the unknown token.
            shares = torch.ones(*windows.shape[:1], windows.shape[2], 1, dtype=x.dtype, device=x.device)
            for position in range(kmer):
                bases = windows[..., position].transpose(1, 2)
                shares = (shares.unsqueeze(-1) * bases.unsqueeze(-2)).flatten(2)
            return shares @ words[self.tokens] + (1 - shares.sum(dim=2, keepdim=True)) * words[self.special[2]]
        places = 4 ** torch.arange(kmer - 1, -1, -1, device=x.device)
        codes = (windows.argmax(dim=1) * places).sum(dim=2)
        known = (windows.amax(dim=1) > 0).all(dim=2)
        return words[torch.where(known, self.tokens[codes], self.special[2])]


def _pretrained(library: ModuleType, settings: LanguageModelParameters) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a pretrained model, and the buffers ``tokens`` and ``special`` of ``LanguageModel``."""
    options = {"revision": settings.revision or "main", "trust_remote_code": False}
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(settings.model, **options)
        body = library.AutoModel.from_pretrained(settings.model, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"language model {settings.model!r} cannot be read: {error}. It must be a folder or a hub name of a model "
            "with safetensors weights that needs no code of its own."
        ) from None
    vocabulary = tokenizer.get_vocab()
    kmers = ["".join(bases) for bases in itertools.product(ALPHABET, repeat=settings.kmer)]
    missing = [kmer for kmer in kmers if kmer not in vocabulary]
    if missing:
        raise InputError(
            f"language model {settings.model!r} has no token {missing[0]!r} "
            f"({len(missing)} of {len(kmers)} are missing); "
            f"set kmer to the length of its tokens, not {settings.kmer}"
        )
    unknown = tokenizer.unk_token_id
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else unknown
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    special = [first, last if last is not None else first, unknown]
    if any(number is None for number in special):
        raise InputError(f"language model {settings.model!r} lacks a token for unknown words")
    return body, torch.tensor([vocabulary[kmer] for kmer in kmers]), torch.tensor(special)


def _transformers() -> ModuleType:
    """Return the ``transformers`` library, which the default installation lacks."""
    try:
        import transformers
    except ImportError:
        raise InputError(
            "architecture language_model needs the transformers library, which is not installed: "
            "pip install transformers"
        ) from None
    return transformers
