"""The configuration of one trial: a frozen, validated `TrialConfig` that goes to JSON and back. No torch.

A section with a `name` chooses a component (a loss, a model, a data set, an extractor). The other fields of the section
are the component's own options, which `gansearch.registry` checks against the class.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gansearch.errors import UserError, one_line, unknown
from gansearch.text import kimg_text, without_nul

# Far more than any search needs: a slip of the finger shall not fill the memory, or train until the sun is out.
MOST_KIMG = 10**7  # ten billion images
MOST_FAKE = 10**7
MOST_SEED = 2**32  # NumPy takes no larger seed, and finals count up from the seed of the search


def whole_kimg(max_kimg: float, *, evaluations: int, batch: int) -> float:
    """Returns the length nearest to `max_kimg` that is `evaluations` times a whole number of batches."""
    return max(1, round(max_kimg * 1000 / (evaluations * batch))) * evaluations * batch / 1000


def _no_half(value: object) -> object:
    if str(value) in {"fp16", "float16", "half", "16"}:
        raise ValueError("there is no float16 here, whose range would need the loss scaled: take bf16 or float32")
    return value


_NoHalf = BeforeValidator(_no_half)


class Section(BaseModel):
    """A group of options; an unknown option is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(Section):
    """A section that names a registered component; fields that are not declared here are the component's options."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """All fields of the section but the name."""
        return self.model_dump(exclude={"name"})


class DataConfig(Component):
    """The real images."""

    name: str = "digits"
    resolution: int = Field(
        32,
        ge=8,
        le=1024,
        description="The rows and columns of the images, which are resized to it. Models take powers of two.",
    )


class ModelConfig(Component):
    """The networks G and D."""

    name: str = "dcgan"


class LossConfig(Component):
    """What G and D minimise."""

    name: str = "bce"


class OptimConfig(Section):
    """Adam for G and D. Training repeats `d_steps` D steps and `g_steps` G steps."""

    g_lr: float = Field(2e-4, gt=0, description="The learning rate of G.")
    d_lr: float = Field(2e-4, gt=0, description="The learning rate of D.")
    beta1: float = Field(0.5, ge=0, lt=1, description="How slowly Adam's mean of the gradients changes.")
    beta2: float = Field(0.999, ge=0, lt=1, description="How slowly Adam's mean of their squares changes.")
    d_steps: int = Field(1, ge=1, le=1000, description="D steps in a turn; each takes a batch of real images.")
    g_steps: int = Field(1, ge=1, le=1000, description="G steps in a turn, after the D steps.")


class ReplayConfig(Section):
    """Experience replay: every `every` D steps (0: never) the share `fraction` of the fake batch is earlier fakes."""

    every: int = Field(0, ge=0, le=10**6, description="D steps from one replay to the next; 0: never.")
    fraction: float = Field(0.5, gt=0, le=1, description="The share of the fake batch that is replayed.")
    capacity: int = Field(1024, ge=1, le=10**7, description="How many earlier fakes are kept.")


class TrainConfig(Section):
    """Length, batch and averaging of the training. kimg: thousands of real images shown to D."""

    batch: int = Field(64, ge=2, le=2**16, description="Images in a batch.")
    max_kimg: float = Field(
        14.4, gt=0, le=MOST_KIMG, description="The full length of a trial, in thousands of real images."
    )
    evaluations: int = Field(9, ge=1, le=10**4, description="How often FID is measured, at equal distances.")
    ema_kimg: float = Field(
        1.0, ge=0, le=MOST_KIMG, description="The half-life of the averaged generator, in kimg; 0: no averaging."
    )
    precision: Annotated[Literal["auto", "float32", "tf32", "bf16"], _NoHalf] = Field(
        "auto",
        description="The precision of the layers; `auto` is bf16 where the device has units for it, else float32. tf32 "
        "is float32 with products rounded to TF32, on a GPU.",
    )
    compile: Literal["auto", "always", "never"] = Field(
        "never", description="Whether the networks are compiled; `auto`: where the length pays for it."
    )

    @model_validator(mode="after")
    def _no_compiled_tf32(self) -> Self:
        if (self.precision, self.compile != "never") == ("tf32", True):  # the compiler reads torch's older setting
            raise ValueError("precision=tf32 is not known to torch's compiler: set compile=never, or precision=bf16")
        return self

    @property
    def eval_images(self) -> int:
        """The number of real images between two evaluations."""
        return round(self.max_kimg * 1000) // self.evaluations

    @property
    def max_images(self) -> int:
        return self.eval_images * self.evaluations

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        fitting = whole_kimg(self.max_kimg, evaluations=self.evaluations, batch=self.batch)
        if not math.isclose(fitting, self.max_kimg, rel_tol=1e-9):
            raise ValueError(
                f"max_kimg={self.max_kimg:g} is not {self.evaluations} evaluations of whole batches of "
                f"{self.batch}; the nearest is {kimg_text(fitting)}"
            )
        return self


class MetricsConfig(Component):
    """How FID is measured. The section's name is the name of the extractor."""

    name: str = "digits-classifier"
    weights: str | None = Field(None, description="The extractor's weights file; null: the extractor's own.")
    weights_sha256: str | None = Field(None, description="The SHA-256 of the weights; null: of the extractor's own.")
    precision: Annotated[Literal["float32", "bf16"], _NoHalf] = Field(
        "float32", description="The precision of the extractor; bf16 is faster and gives nearly the same FID."
    )
    split: Literal["train", "test"] = Field("train", description="The real images that FID compares with.")
    num_real: int | None = Field(
        None,
        ge=2,
        le=MOST_FAKE,
        description="How many of them, chosen by metrics.seed; null: all.",
    )
    statistics: str | None = Field(
        None,
        description="A file with the statistics of other real images, .npz: mu and sigma, or StyleGAN's raw_mean, "
        "raw_cov and num_items; null: those of the split are measured.",
    )
    num_fake: int = Field(1024, ge=2, le=MOST_FAKE, description="How many images are generated for a FID.")
    chunk: int | None = Field(
        None,
        ge=2,
        le=MOST_FAKE,
        description="FID is the mean over chunks of so many real and fake images; null: no chunks.",
    )
    seed: int = Field(0, ge=0, lt=MOST_SEED, description="The seed of z, the same at every evaluation.")

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        for name in ("chunk", "num_real"):
            if self.statistics is not None and getattr(self, name) is not None:
                raise ValueError(f"metrics.statistics is a file of finished statistics: metrics.{name} can't apply")
        return self


class ArtifactsConfig(Section):
    """Which artifacts a trial writes after each evaluation, by name. They do not change the training."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, bool]

    @property
    def on(self) -> dict[str, bool]:
        """For each artifact that is named here whether it is written."""
        return self.model_dump()


class Source(Section):
    """The source of code from outside the package: its file, as seen from the folder of the start, and a hash."""

    file: str
    sha256: str


class TrialConfig(Section):
    """Everything that one trial needs. Equal configurations give equal trials on one machine with as many threads.

    `code` has the source of each module from outside the package that the run uses.
    """

    seed: int = Field(0, ge=0, lt=MOST_SEED, description="The seed of all that is random in the training.")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    replay: ReplayConfig = ReplayConfig()
    train: TrainConfig = TrainConfig()
    metrics: MetricsConfig = MetricsConfig()
    artifacts: ArtifactsConfig = ArtifactsConfig()
    code: dict[str, Source] = Field(default_factory=dict, repr=False)

    def flat(self) -> dict[str, Any]:
        """Returns every option by its dotted path: `{"optim.g_lr": 2e-4, ...}`."""
        return _flatten(self.model_dump(exclude={"code"}))

    @property
    def component_names(self) -> set[str]:
        """The names of all components that the trial uses."""
        sections = (getattr(self, name) for name in type(self).model_fields)
        return {section.name for section in sections if isinstance(section, Component)} | set(self.artifacts.on)

    def override(self, changes: Mapping[str, Any], max_kimg: float | None = None) -> "TrialConfig":
        """Returns a copy with changed options.

        Args:
            changes: New values by dotted path. Where a component's name changes, the options of the component before
                are dropped.
            max_kimg: If given, the length becomes the nearest one with all evaluations at whole batches.

        Raises:
            UserError: A section does not have the option, or a value is outside the option's domain. The options of
                components are not checked here but by the registry.
        """
        tree = self.model_dump()
        for path, value in sorted(changes.items(), key=lambda item: not item[0].endswith(".name")):
            _set(tree, path, reference(value))
        if max_kimg is not None:
            if not 0 < max_kimg <= MOST_KIMG:
                raise UserError(f"a length of {max_kimg:g} kimg is not possible: give one above 0, to {MOST_KIMG}")
            if "train.max_kimg" in changes:
                raise UserError(f"train.max_kimg={changes['train.max_kimg']} and --max-kimg set one option: give one")
            evaluations, batch = tree["train"]["evaluations"], tree["train"]["batch"]
            if all(isinstance(number, int) and number > 0 for number in (evaluations, batch)):  # else refused below
                tree["train"]["max_kimg"] = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
        return from_dict(tree)

    def lengthened(self, max_kimg: float) -> "TrialConfig":
        """Returns a trial that is evaluated at the same interval and ends at the evaluation nearest to `max_kimg`."""
        interval = self.train.eval_images
        evaluations = max(1, round(max_kimg * 1000 / interval))
        return self.override({"train.evaluations": evaluations, "train.max_kimg": evaluations * interval / 1000})

    def to_json(self) -> str:
        return self.model_dump_json(indent=2)


def from_dict(tree: Mapping[str, Any]) -> TrialConfig:
    """Validates a nested dict. The message of a UserError names the option, the fault and the allowed values."""
    try:
        return TrialConfig.model_validate(without_nul(tree))
    except ValidationError as error:
        raise UserError(describe(error)) from None
    except ValueError as error:
        raise UserError(one_line(error)) from None


def from_json(text: str) -> TrialConfig:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the configuration is not valid JSON ({error}): fix its text") from None
    return from_dict(tree)


def describe(error: ValidationError, prefix: str = "") -> str:
    """Returns all faults that pydantic found on one line, each as `path=value: what is wrong`."""
    found = []
    for item in error.errors():
        path = ".".join([*([prefix] if prefix else []), *map(str, item["loc"])]) or "the configuration"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] in {"missing", "missing_argument"}:
            found.append(f"{path} is missing: give it with --set {path}=VALUE")
        elif item["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            found.append(f"there is no option {path}")
        elif isinstance(item["input"], Mapping) or not isinstance(item["input"], str | int | float | None):
            found.append(f"{path}: {message}")
        else:
            found.append(f"{path}={item['input']}: {message[0].lower()}{message[1:]}")
    return "; ".join(found)


def first_fault(error: ValidationError) -> str:
    """Returns the first fault that pydantic found in a file that no person writes, as `path: what is wrong`."""
    item = error.errors()[0]
    path, message = ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def reference(value: Any) -> Any:
    """Returns the name `MODULE:NAME` of a class or function, and any other value as it is."""
    if not (callable(value) and hasattr(value, "__qualname__")):
        return value
    if not value.__qualname__.isidentifier():
        raise UserError(f"{value.__qualname__} can't be found by its name: define it at the top level of its module")
    return f"{value.__module__}:{value.__qualname__}"


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    section, _, key = path.partition(".")
    if path == "seed":
        tree["seed"] = value
        return
    kind = type(getattr(TrialConfig(), section, None))
    if not issubclass(kind, Section) or not key or ("." in key and not issubclass(kind, ArtifactsConfig)):
        raise unknown("option", path, TrialConfig().flat())
    if kind.model_config["extra"] != "allow" and key not in kind.model_fields:
        raise unknown("option", path, [f"{section}.{name}" for name in kind.model_fields])
    if key == "name" and tree[section]["name"] != value:
        tree[section] = {name: tree[section][name] for name in kind.model_fields if name != "name"}
    tree[section][key] = value
