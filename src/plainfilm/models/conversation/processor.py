"""Studies and reports to a checkpoint's tensors, by the checkpoint's own processor and template."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL.Image
import torch
from transformers import BatchFeature, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from plainfilm.core import (
    OBSERVATIONS,
    Evidence,
    Finding,
    Image,
    InputError,
    ModelError,
    Observation,
    Report,
    Study,
    View,
    one_line,
)
from plainfilm.core.files import write_atomically
from plainfilm.core.model_folder import OFFLINE, read_json
from plainfilm.models.conversation.settings import Attention, Context, Precision
from plainfilm.text import read, sections
from plainfilm.text.chats import REQUESTS, Turn, write_chat
from plainfilm.text.prompts import (
    TEXT_FIELDS,
    fill,
    film_mark,
    split_films,
    study_fields,
    without,
)
from plainfilm.text.targets import IGNORED, report_to_target, target_to_report
from plainfilm.text.think import split_thought, thought
from plainfilm.vision.preparation import letterbox

CONTEXT_FILE = "plainfilm_context.json"
"""In a model folder: how the model is asked, and how its answer is understood."""
PLAIN = "plain"
"""The chat template of models that know no chat: films, then words."""

ANSWER = "the model's answer"
"""The method of evidence that is what a model answered after it thought."""
Message = dict[str, Any]


class ConversationProcessor:
    """Asks for a report as the settings say, in the checkpoint's own format.

    Args:
        inner: the checkpoint's processor (image processor and tokenizer).
        context: what is said, and how the answer is understood.
        views: how many films of a study are read, at most.
        stops: tokens that end an answer.
        attention: how the model computes attention; kept for loading it.
        dtype: precision of the model's weights in training; likewise.

    Raises:
        ModelError: the checkpoint has no chat template or no token for padding, and the context
            gives none.
    """

    def __init__(
        self,
        inner: Any,
        context: Context,
        *,
        views: int = 1,
        stops: Sequence[int] = (),
        attention: Attention | None = None,
        dtype: Precision = "float32",
    ) -> None:
        self.inner = inner
        self.context = context
        self.views = views
        self.attention = attention
        self.dtype = dtype
        self.tokenizer = inner.tokenizer
        self.template = context.chat_template or getattr(inner, "chat_template", None)
        self.template = self.template or getattr(self.tokenizer, "chat_template", None)
        if not self.template:
            raise ModelError(
                "the checkpoint has no chat template: give one in chat_template, or 'plain' for a "
                "base model that reads films and then words"
            )
        if context.pad_token is not None:
            if context.pad_token not in self.tokenizer.get_vocab():
                raise ModelError(f"pad_token {context.pad_token!r} is no token of the checkpoint's")
            self.tokenizer.pad_token = context.pad_token
        if self.tokenizer.pad_token_id is None:
            raise ModelError(
                "the checkpoint's tokenizer has no token for padding: name one of its tokens in "
                "pad_token (often that which ends a text)"
            )
        self.stops = tuple(stops) or (self.tokenizer.eos_token_id,)
        self.image_token: str = inner.image_token
        added = self.tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special} | {self.image_token}
        special |= set(self.tokenizer.all_special_tokens)
        self.control = sorted(filter(str.strip, special), key=len, reverse=True)
        self.chat_share = 0.0
        """Of the examples, how many are learned as a chat about the film, not as its report."""

    def __call__(
        self,
        studies: Sequence[Study],
        reports: Sequence[Report] | None = None,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> BatchFeature:
        """Return the tensors of a batch.

        Args:
            studies: the studies.
            reports: what is to be learned of each; None to draft.
            rngs: choose, in training, the order of each table (without, the columns' own), among
                wordings of a request, and questions of a chat.

        Returns:
            What the checkpoint's own processor returns (``input_ids``, ``attention_mask``
            ``(batch, tokens)``, pixels in the checkpoint's shape). To draft, prompts are padded on
            the left. With reports, each row is the prompt and the answer, padded on the right, and
            ``labels`` ``(batch, tokens)`` are the answer's tokens and -100 elsewhere.

        Raises:
            InputError: a study has no frontal film, or a column in its table that is not read.
        """
        drawn: list[np.random.Generator | None] = [None] * len(studies)
        if rngs is not None and reports is not None:
            drawn = list(rngs)
        words = [_words(rng) for rng in drawn]
        asked = [
            self._ask(study, rng, words=word)
            for study, rng, word in zip(studies, drawn, words, strict=True)
        ]
        chats: list[list[Turn]] = [[] for _ in studies]
        for place, word in enumerate(words):
            if reports is None or word is None or word.random() >= self.chat_share:
                continue
            chats[place] = write_chat(_findings(reports[place].text), word)
            if chats[place]:
                asked[place] = self._ask(studies[place], request=chats[place][0].question)
        messages = [message for message, _ in asked]
        prompts = [self._render(message, len(films)) for message, films in asked]
        films = [[self._picture(film) for film in read] for _, read in asked]
        batch = self._encode(prompts, films, "left" if reports is None else "right")
        if reports is None:
            return batch
        answers, learned = [], []
        for message, prompt, report, chat in zip(messages, prompts, reports, chats, strict=True):
            if chat:
                tokens, mask = self._chat_answers(message, prompt, chat)
            else:
                text = _text_of(report, self.context.sections)
                tokens = self._answer(message, prompt, text, think=self.context.think)
                tokens = tokens[: self.context.max_report_tokens]
                mask = [True] * len(tokens)
            answers.append(tokens)
            learned.append(mask)
        batch = self._with_answers(batch, answers)
        if any(chats):
            for row, mask in enumerate(learned):
                places = (batch["labels"][row] != IGNORED).nonzero().flatten()
                batch["labels"][row, places[~torch.tensor(mask)]] = IGNORED
        return batch

    def decode(self, tokens: torch.Tensor) -> list[tuple[Report, tuple[str, ...]]]:
        """Return the reports that generated ``tokens`` ``(batch, tokens)`` spell, with warnings."""
        return [self.to_report(text) for text in self.texts(tokens)]

    def texts(self, tokens: torch.Tensor) -> list[str]:
        """Return the texts of generated ``tokens`` ``(batch, tokens)``."""
        found = self.tokenizer.batch_decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return cast(list[str], found)

    def to_report(self, answer: str) -> tuple[Report, tuple[str, ...]]:
        """Return the report that an answer stands for, and what must be known of it."""
        context = self.context
        warnings: tuple[str, ...] = ()
        if context.drop is not None:
            answer = re.sub(context.drop, " ", answer, flags=re.DOTALL)
        if context.keep is not None:
            found = re.search(context.keep, answer, flags=re.DOTALL)
            if found:
                answer = found[1]
            else:
                warnings = (
                    "the model's answer has not the form that its preset expects (it may be cut "
                    "off); all of it is shown",
                )
        answer = answer.strip()
        if context.think:
            answer, named = split_thought(answer)
            return _with_answer(self._sections(answer), named), warnings
        return self._sections(answer), warnings

    def _sections(self, answer: str) -> Report:
        """Return the report whose text is ``answer``."""
        context = self.context
        if context.sections == "headings":
            return target_to_report(answer)
        if context.sections == "report":
            parts: dict[str, list[str]] = {"findings": [], "impression": []}
            for part in sections(answer):
                name = "findings" if part.name == "body" else part.name
                parts.get(name, []).append(part.text)
            texts = {name: "\n".join(filter(None, said)) for name, said in parts.items()}
            return Report(**texts)
        return Report(**{context.sections: answer})

    def save_pretrained(self, folder: Path) -> None:
        """Write the checkpoint's processor and the context into a folder."""
        self.inner.save_pretrained(folder)
        values = {
            "context": self.context.to_dict(),
            "views": self.views,
            "stops": list(self.stops),
            "attention": self.attention,
            "dtype": self.dtype,
        }
        write_atomically(folder / CONTEXT_FILE, json.dumps(values, indent=1, ensure_ascii=False))

    @classmethod
    def from_pretrained(cls, folder: Path, config: PreTrainedConfig) -> "ConversationProcessor":
        """Open what :meth:`save_pretrained` wrote."""
        values = read_json(folder / CONTEXT_FILE)
        context = Context.from_dict(values.pop("context"))
        return cls(load_inner(folder, config), context, **values)

    def _ask(
        self,
        study: Study,
        rng: np.random.Generator | None = None,
        *,
        words: random.Random | None = None,
        request: str | None = None,
    ) -> tuple[list[Message], list[Image]]:
        """Return the messages for one study and the films that they show, in order.

        Args:
            study: the study.
            rng: chooses the order of its table; the columns' own where left out.
            words: choose the wording of ``{ask}``; the first where left out.
            request: instead of the context's.
        """
        chosen = study.films_to_read(self.views)
        if not chosen:
            views = ", ".join(image.view for image in study.images)
            raise InputError(
                f"study {study.id!r} has no frontal film (views: {views}); this model reads one"
            )
        films = [study.images[index] for index in chosen]
        marks = {"frontal": [0]}
        lateral = next((n for n, film in enumerate(films) if film.view is View.LATERAL), None)
        if lateral is not None:
            marks["lateral"] = [lateral]
        if self.context.prior and study.prior is not None:
            before = study.prior.frontal
            if before is not None:
                marks["prior_frontal"] = [len(films)]
                films.append(study.prior.images[before])
        request = self.context.request if request is None else _quoted(request)
        named = {
            number for name, one in marks.items() for number in one if f"{{{name}}}" in request
        }
        marks["films"] = [number for number in range(len(films)) if number not in named]
        context = self.context
        try:
            known = study_fields(study, table=context.table, prior=context.prior, rng=rng)
        except InputError as error:
            raise InputError(f"study {study.id!r}: {error}") from error
        fields = {name: without(text, self.control) for name, text in known.items()}
        fields["ask"] = REQUESTS[0] if words is None else words.choice(REQUESTS)
        if self.context.missing is not None:
            fields = dict.fromkeys(TEXT_FIELDS, self.context.missing) | fields
        fields |= {name: film_mark(*numbers) for name, numbers in marks.items() if numbers}
        parts = split_films(fill(request, fields))
        # A line that names a film may be left out for another reason: no film is lost with it.
        unplaced = [number for number in range(len(films)) if number not in parts]
        parts = [*unplaced, *parts]
        content = [
            {"type": "image"} if isinstance(part, int) else {"type": "text", "text": part}
            for part in parts
        ]
        messages = [{"role": "user", "content": content}]
        if self.context.system:
            system = [{"type": "text", "text": self.context.system}]
            messages.insert(0, {"role": "system", "content": system})
        return messages, [films[part] for part in parts if isinstance(part, int)]

    def _render(self, messages: Sequence[Message], films: int) -> str:
        """Return the prompt as text, one placeholder for each film.

        Raises:
            ModelError: the chat template fails, or writes another number of placeholders.
        """
        if self.template == PLAIN:
            words = [
                part["text"]
                for message in messages
                for part in message["content"]
                if part["type"] == "text"
            ]
            return self.image_token * films + "\n".join(words)
        prompt = self._chat(messages, add_generation_prompt=True)
        if prompt.count(self.image_token) != films:
            raise ModelError(
                f"the chat template writes {prompt.count(self.image_token)} placeholders "
                f"{self.image_token} for {films} films: it is not of this checkpoint's processor; "
                "give another in chat_template"
            )
        return prompt

    def _chat(self, messages: Sequence[Message], **how: Any) -> str:
        import jinja2

        try:
            return cast(
                str,
                # SmolVLM's own asks for its video processor.
                ProcessorMixin.apply_chat_template(
                    self.inner, list(messages), chat_template=self.template, tokenize=False, **how
                ),
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise ModelError(
                f"the chat template cannot be filled in ({one_line(error)}): it may know no system "
                "prompt, or only text; give another in chat_template"
            ) from error

    def _picture(self, film: Image) -> PIL.Image.Image:
        """Return a film as the checkpoint's image processor takes it."""
        pixels, size = film.pixels, self.context.image_size
        if self.context.square:
            pixels = letterbox(pixels, size or max(pixels.shape))
        picture = PIL.Image.fromarray(np.round(pixels * 255).astype(np.uint8)).convert("RGB")
        if size is not None and not self.context.square:
            picture.thumbnail((size, size), PIL.Image.Resampling.BILINEAR)
        return picture

    def _encode(
        self, prompts: Sequence[str], films: Sequence[Sequence[PIL.Image.Image]], side: str
    ) -> BatchFeature:
        batch = self.inner(
            images=[list(one) for one in films],
            text=list(prompts),
            padding=True,
            padding_side=side,
            add_special_tokens=self._adds_special(prompts[0]),
            return_tensors="pt",
        )
        batch.pop("labels", None)  # PaliGemma's processor makes some of its own
        return cast(BatchFeature, batch)

    def _adds_special(self, prompt: str) -> bool:
        """Whether the tokenizer's own first token is still to come: many templates write it."""
        first = self.tokenizer.bos_token
        return first is None or not prompt.startswith(first)

    def _chat_answers(
        self, messages: Sequence[Message], prompt: str, chat: Sequence[Turn]
    ) -> tuple[list[int], list[bool]]:
        """Return the tokens that follow the first prompt of a chat, and which are answers.

        Whole turns are left out at the end where the chat gets longer than ``max_chat_tokens``.

        Raises:
            ModelError: the chat template does not simply go on with a turn more.
        """
        told, tokens, learned = list(messages), list[int](), list[bool]()
        before = prompt
        for place, turn in enumerate(chat):
            asked: list[int] = []
            if place:
                question = without(turn.question, self.control)
                if self.template == PLAIN:
                    following = f"{before}\n{question}\n"
                else:
                    content = [{"type": "text", "text": question}]
                    told.append({"role": "user", "content": content})
                    following = self._chat(told, add_generation_prompt=True)
                if not following.startswith(before):
                    raise ModelError(
                        "the chat template changes earlier turns when one is added, so chats can't "
                        "be learned with it: set chat_share to 0, or give another chat_template"
                    )
                asked = self._following(before, following[len(before) :])
                before = following
            answer = self._answer(told, before, turn.answer)
            if tokens and len(tokens) + len(asked) + len(answer) > self.context.max_chat_tokens:
                break
            tokens += [*asked, *answer]
            learned += [False] * len(asked) + [True] * len(answer)
            content = [{"type": "text", "text": turn.answer}]
            told.append({"role": "assistant", "content": content})
            before = self._after(told, before, turn.answer)
        return tokens, learned

    def _after(self, told: Sequence[Message], before: str, answer: str) -> str:
        """Return the conversation as text up to the end of its last answer."""
        if self.template == PLAIN:
            return before + answer
        whole = self._chat(told)
        start = whole.rfind(answer) + len(answer)
        ends = self.tokenizer.convert_ids_to_tokens(list(self.stops))
        found = [whole.find(end, start) + len(end) for end in ends if end in whole[start:]]
        return whole[: min(found)] if found else whole[:start]

    def _answer(
        self, messages: Sequence[Message], prompt: str, text: str, *, think: bool = False
    ) -> list[int]:
        """Return the tokens that follow a prompt: the answer, then what ends the turn."""
        text = without(text, self.control).strip()
        if think:
            text = thought(text)
        head, tail = "", ""
        if self.template != PLAIN:
            said: Message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
            whole = self._chat([*messages, said])
            start = whole.rfind(text)
            tail = whole[start + len(text) :]
            if whole.startswith(prompt):
                head = whole[len(prompt) : start]
        ends = self.tokenizer.convert_ids_to_tokens(list(self.stops))
        found = [(tail.find(end), end) for end in ends if end in tail]
        tail = tail[: min(found)[0]] + min(found)[1] if found else self.tokenizer.eos_token
        return self._following(prompt, head + text + tail)

    def _following(self, prompt: str, text: str) -> list[int]:
        """Return the tokens of ``text`` after ``prompt``, whose own tokens stay as they are."""
        if self.template != PLAIN:
            special = self._adds_special(prompt)
            before = self.tokenizer(prompt, add_special_tokens=special)["input_ids"]
            both = self.tokenizer(prompt + text, add_special_tokens=special)["input_ids"]
            if both[: len(before)] == before:
                return cast(list[int], both[len(before) :])
        return cast(list[int], self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _with_answers(self, batch: BatchFeature, answers: Sequence[list[int]]) -> BatchFeature:
        """Return a batch whose rows go on with the answers, and its labels."""
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        width = max(length + len(answer) for length, answer in zip(lengths, answers, strict=True))
        shape = batch["input_ids"].shape
        # In PaliGemma, type 1 marks what is written; elsewhere, it marks a film.
        written = int("PaliGemma" in type(self.inner).__name__)
        fillers = {
            "input_ids": self.tokenizer.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": 0,
            "mm_token_type_ids": 0,
        }
        labels = torch.full((shape[0], width), IGNORED)
        for name, filler in fillers.items():
            if name not in batch:
                continue
            longer = batch[name].new_full((shape[0], width), filler)
            for row, (length, answer) in enumerate(zip(lengths, answers, strict=True)):
                end = length + len(answer)
                longer[row, :length] = batch[name][row, :length]
                if name == "input_ids":
                    longer[row, length:end] = labels[row, length:end] = torch.tensor(answer)
                elif name == "attention_mask":
                    longer[row, length:end] = 1
                elif name == "token_type_ids":
                    longer[row, length:end] = written
            batch[name] = longer
        batch["labels"] = labels
        return batch


def _text_of(report: Report, sections: str) -> str:
    """Return what is learned of a report."""
    if sections in ("findings", "impression"):
        return str(getattr(report, sections))
    return report_to_target(report)


def _words(rng: np.random.Generator | None) -> random.Random | None:
    """Return what chooses among words for an example."""
    if rng is None:
        return None
    return random.Random(int(rng.integers(2**31)))  # noqa: S311 - no secret


@lru_cache(maxsize=8192)
def _findings(text: str) -> tuple[Finding, ...]:
    return tuple(read(text))


def _quoted(text: str) -> str:
    """Return a text as a template without fields."""
    return text.replace("{", "{{").replace("}", "}}")


def load_inner(folder: Path, config: PreTrainedConfig) -> Any:
    """Return a checkpoint's own processor, without the part that reads videos.

    That part needs torchvision, and nothing here is a video.

    Raises:
        ModelError: transformers has no processor of images and text for this kind of checkpoint.
    """
    found: Any = None
    with suppress(KeyError):
        found = PROCESSOR_MAPPING[type(config)]
    if found is None or "image_processor" not in found.get_attributes():
        raise ModelError(
            f"{folder} holds a {config.model_type!r} model, for which transformers has no "
            "processor of images and text: expected a vision-language model"
        )
    return without_video(found).from_pretrained(folder, **OFFLINE)


def without_video(kind: Any) -> Any:
    """Return a class of processors that does without a video processor."""
    if "video_processor" not in kind.get_attributes():
        return kind

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in kind.get_attributes() if name != "video_processor"]

    def from_args_and_dict(cls: Any, /, args: Any, values: dict[str, Any], **more: Any) -> Any:
        names = list(signature(kind.__init__).parameters)[1:]
        args = [*args, None] if names.index("video_processor") == len(args) else args
        values = {name: value for name, value in values.items() if name != "video_processor"}
        return kind.from_args_and_dict.__func__(cls, args, values, **more)

    methods: dict[str, Any] = {
        "get_attributes": classmethod(get_attributes),
        "from_args_and_dict": classmethod(from_args_and_dict),
    }
    return type(kind.__name__, (kind,), methods)


def placeholder_tokens(config: PreTrainedConfig) -> list[int]:
    """Return the tokens of a configuration that stand for, or around, images: never an answer's."""
    found = set()
    for name, value in config.to_dict().items():
        if name.endswith(("_token_id", "_token_index")) and isinstance(value, int):
            kind = name.split("_token_")[0]
            if kind in ("image", "video", "audio", "boi", "eoi", "vision_start", "vision_end"):
                found.add(value)
    return sorted(found)


def sizes(batch: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a batch, for messages."""
    return {name: tuple(value.shape) for name, value in batch.items()}


def _with_answer(report: Report, named: frozenset[Observation] | None) -> Report:
    if named is None:
        return report
    evidence = tuple(
        Evidence(observation=one, probability=float(one in named), method=ANSWER)
        for one in OBSERVATIONS
    )
    return report.model_copy(update={"evidence": evidence})
