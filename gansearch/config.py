"""What one trial is: a frozen, validated `TrialConfig` that goes to JSON and back. No torch.

A section with a `name` picks a component (a loss, a model, a data set, an extractor); its other fields are that
component's own options, which `gansearch.registry` checks against the class.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gansearch.errors import UserError, unknown


def whole_kimg(max_kimg: float, *, evaluations: int, batch: int) -> float:
    """The length nearest `max_kimg` that is `evaluations` times a whole number of batches."""
    return max(1, round(max_kimg * 1000 / (evaluations * batch))) * evaluations * batch / 1000


class Section(BaseModel):
    """A group of options; misspelt ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(Section):
    """A section that names a registered component; fields that are not declared here are its own options."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options as given, without the name."""
        return self.model_dump(exclude={"name"})


class DataConfig(Component):
    name: str = "digits"
    resolution: int = 32


class ModelConfig(Component):
    name: str = "dcgan"


class LossConfig(Component):
    name: str = "bce"


class OptimConfig(Section):
    """Adam for G and for D; at each turn `d_steps` D steps are made, then `g_steps` G steps."""

    g_lr: float = Field(2e-4, gt=0)
    d_lr: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    d_steps: int = Field(1, ge=1)
    g_steps: int = Field(1, ge=1)


class ReplayConfig(Section):
    """Every `every` D steps (0: never) the share `fraction` of the fake batch is drawn from earlier fakes."""

    every: int = Field(0, ge=0)
    fraction: float = Field(0.5, gt=0, le=1)
    capacity: int = Field(1024, ge=1)


class TrainConfig(Section):
    """Length, batch and averaging. kimg: thousands of real images shown to D."""

    batch: int = Field(64, ge=2)
    max_kimg: float = Field(14.4, gt=0)
    evaluations: int = Field(9, ge=1)
    ema_kimg: float = Field(1.0, ge=0, description="half-life of the averaged generator; 0: no averaging")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="of the layers; auto: bf16 where the device has units for it"
    )
    compile: Literal["auto", "always", "never"] = Field("never", description="auto: where the length pays for it")

    @property
    def eval_images(self) -> int:
        """Real images between two evaluations."""
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
                f"{self.batch}; the nearest is {fitting:g}"
            )
        return self


class MetricsConfig(Component):
    """How FID is measured; the section's name is the extractor's."""

    name: str = "digits-classifier"
    weights: str | None = Field(None, description="the extractor's weights file; default: its own")
    weights_sha256: str | None = Field(None, description="what the file must hash to; default: its own")
    precision: Literal["float32", "bf16"] = Field("float32", description="the extractor's; bf16: faster, near")
    split: Literal["train", "test"] = "train"
    num_fake: int = Field(1024, ge=2)
    chunk: int | None = Field(None, ge=2, description="FID as the mean over chunks of so many real and fake images")
    seed: int = Field(0, ge=0, lt=2**63)


class ArtifactsConfig(Section):
    """What a trial leaves for the eye after each evaluation; none of it changes the training."""

    curves: bool = Field(True, description="TensorBoard scalars: the losses and FID")
    samples: bool = Field(True, description="a grid of images from fixed z, in rows of a class where there are any")
    gif: bool = Field(True, description="at the end the grids, where they are made, as an animation")
    attention: bool = Field(True, description="where G and D look, for models with self-attention")


class TrialConfig(Section):
    """Everything that one trial needs; equal ones on one machine with as many threads give the same trial."""

    seed: int = Field(0, ge=0, lt=2**63)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    replay: ReplayConfig = ReplayConfig()
    train: TrainConfig = TrainConfig()
    metrics: MetricsConfig = MetricsConfig()
    artifacts: ArtifactsConfig = ArtifactsConfig()

    def flat(self) -> dict[str, Any]:
        """Every option by its dotted path: `{"optim.g_lr": 2e-4, ...}`."""
        return _flatten(self.model_dump())

    def override(self, changes: Mapping[str, Any], max_kimg: float | None = None) -> "TrialConfig":
        """A copy with the options at dotted paths changed.

        Where a component's name changes, the options of the one before are dropped: they are not the new one's.
        With `max_kimg` the length is the nearest to it that has all evaluations at whole batches.
        Raises UserError for a path that no section has (options of a component are the registry's to check) and
        for a value out of its domain.
        """
        tree = self.model_dump()
        for path, value in sorted(changes.items(), key=lambda item: not item[0].endswith(".name")):
            _set(tree, path, value)
        if max_kimg is not None:
            if not 0 < max_kimg < math.inf:
                raise UserError(f"a length of {max_kimg:g} kimg: give a positive number")
            evaluations, batch = tree["train"]["evaluations"], tree["train"]["batch"]
            if all(isinstance(number, int) and number > 0 for number in (evaluations, batch)):  # else refused below
                tree["train"]["max_kimg"] = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
        return from_dict(tree)

    def lengthened(self, max_kimg: float) -> "TrialConfig":
        """The same trial with its evaluations as far apart as they are, up to the one nearest `max_kimg`."""
        interval = self.train.eval_images
        evaluations = max(1, round(max_kimg * 1000 / interval))
        return self.override({"train.evaluations": evaluations, "train.max_kimg": evaluations * interval / 1000})

    def to_json(self) -> str:
        return self.model_dump_json(indent=2)


def from_dict(tree: Mapping[str, Any]) -> TrialConfig:
    """Validates a nested dict; UserError names the option, what is wrong with it and what it may be."""
    try:
        return TrialConfig.model_validate(tree)
    except ValidationError as error:
        raise UserError(describe(error)) from None


def from_json(text: str) -> TrialConfig:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise UserError(f"the configuration is no JSON ({error})") from None
    return from_dict(tree)


def describe(error: ValidationError, prefix: str = "") -> str:
    """Pydantic's findings on one line, each as `path=value: what is wrong`."""
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
    if section not in TrialConfig.model_fields or section == "seed" or not key or "." in key:
        raise unknown("option", path, TrialConfig().flat())
    kind = type(getattr(TrialConfig(), section))
    if not issubclass(kind, Component) and key not in kind.model_fields:
        raise unknown("option", path, [f"{section}.{name}" for name in kind.model_fields])
    if key == "name" and tree[section]["name"] != value:
        tree[section] = {name: tree[section][name] for name in kind.model_fields if name != "name"}
    tree[section][key] = value
