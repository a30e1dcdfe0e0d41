"""The sentences that stand for a class before a teacher that reads: templates and descriptions.

Imports nothing heavy: recipes are checked with it before torch is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dait.data.base import ClassInfo
from dait.data.folders.names import nfc
from dait.errors import UserError
from dait.models.packages import PACKAGED_TEACHERS

DEFAULT_TEMPLATE = "a photo of a {}."
"""What a class is called that has neither a template nor a description."""

ENSEMBLES: dict[str, str] = {
    "openai": "OPENAI_IMAGENET_TEMPLATES",
    "simple": "SIMPLE_IMAGENET_TEMPLATES",
}
"""Names that may stand for a template: CLIP's ensembles, by their names in open_clip."""

MOST_TEMPLATES = 200
MOST_DESCRIPTIONS = 100
LONGEST = 4_000
"""Most characters of one sentence. How many tokens of it a teacher reads, often 77, is up to its
tokenizer (``dait.teachers.prompt_warnings``)."""

_SLOT = "{}"


@dataclass(frozen=True)
class Prompts:
    """What is said of every class. The empty one keeps the data set's own descriptions.

    templates: each with one ``{}`` for the class's name; or a name of ``ENSEMBLES``.
    descriptions: a class's key to its sentences, instead of the data set's own; an empty tuple
    takes them away.

    Raises ``UserError`` for a sentence that is empty or longer than ``LONGEST`` characters, for a
    template without its ``{}``, and for more than ``MOST_TEMPLATES`` or ``MOST_DESCRIPTIONS`` (of
    one class).
    """

    templates: tuple[str, ...] = ()
    # A dictionary has no hash, and prompts need one: a page's state is hashed to see its changes.
    descriptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if len(self.templates) > MOST_TEMPLATES:
            raise UserError(
                f"There are {len(self.templates)} templates; use at most {MOST_TEMPLATES}."
            )
        for template in self.templates:
            _check_template(template)
        for key, sentences in self.descriptions.items():
            if len(sentences) > MOST_DESCRIPTIONS:
                raise UserError(
                    f"The class ‘{key}’ has {len(sentences)} descriptions; use at most "
                    f"{MOST_DESCRIPTIONS}."
                )
            for sentence in sentences:
                _check_length(sentence, f"A description of ‘{key}’")

    def __bool__(self) -> bool:
        """Whether anything is said that the data set does not say itself."""
        return bool(self.templates or self.descriptions)


def class_prompts(classes: Iterable[ClassInfo], prompts: Prompts) -> tuple[ClassInfo, ...]:
    """The classes with all their sentences as descriptions, at least one each.

    A class's sentences are its descriptions and every template with its name; a class that has
    neither gets ``DEFAULT_TEMPLATE``. Raises ``UserError`` for a description of no class, and for
    one of the data set's own that ``Prompts`` would refuse.
    """
    classes = tuple(classes)
    described = {nfc(key): sentences for key, sentences in prompts.descriptions.items()}
    unknown = sorted(set(described) - {nfc(info.key) for info in classes})
    if unknown:
        raise UserError(
            f"The prompts describe ‘{unknown[0]}’, which is no class of this data set. Its classes "
            f"begin with {_some(classes)}."
        )
    templates = expanded(prompts.templates)
    full = []
    for info in classes:
        own = tuple(described.get(nfc(info.key), info.descriptions))
        for sentence in own:
            _check_length(sentence, f"A description of ‘{info.key}’")
        sentences = own + tuple(template.replace(_SLOT, info.name) for template in templates)
        default = DEFAULT_TEMPLATE.replace(_SLOT, info.name)
        full.append(replace(info, descriptions=sentences or (default,)))
    return tuple(full)


def expanded(templates: Sequence[str]) -> tuple[str, ...]:
    """The templates with every name of ``ENSEMBLES`` replaced by what it stands for."""
    found: list[str] = []
    for template in templates:
        found.extend(ensemble(template) if template in ENSEMBLES else (template,))
    return tuple(found)


def ensemble(name: str) -> tuple[str, ...]:
    """The templates of one of ``ENSEMBLES``, as open_clip has them (this imports it)."""
    from open_clip import zero_shot_metadata

    return tuple(fill(_SLOT) for fill in getattr(zero_shot_metadata, ENSEMBLES[name]))


def reads_prompts(teacher: str) -> bool:
    """Whether a teacher of this name reads text, as far as the name tells; nothing is loaded."""
    return teacher not in PACKAGED_TEACHERS and not teacher.startswith("timm:")


def _check_template(template: str) -> None:
    if template in ENSEMBLES:
        return
    if template.count(_SLOT) != 1:
        names = " or ".join(f"‘{name}’" for name in ENSEMBLES)
        raise UserError(
            f"The template ‘{_cut(template)}’ should hold {_SLOT} once, where the class's name "
            f"goes, as in ‘{DEFAULT_TEMPLATE}’; or be {names}, which stand for CLIP's own."
        )
    _check_length(template, "A template")


def _check_length(sentence: str, what: str) -> None:
    if not sentence.strip():
        raise UserError(f"{what} is empty. Write a sentence, or take it away.")
    if len(sentence) > LONGEST:
        raise UserError(
            f"{what} has {len(sentence):,} characters: ‘{_cut(sentence)}’. At most {LONGEST:,} are "
            "allowed; a text tower reads about 77 words and parts of words."
        )


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _some(classes: Sequence[ClassInfo]) -> str:
    return ", ".join(f"‘{info.key}’" for info in classes[:5])
