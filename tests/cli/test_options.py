"""`options`: nothing is missing, everything has its line, and docs/options.md says the same."""

from dataclasses import fields
from pathlib import Path

import pytest

import gansearch
from gansearch import registry
from gansearch.cli.option_docs import option_blocks
from gansearch.cli.search import main
from gansearch.config import TrialConfig

PAGE = Path(gansearch.__file__).parent.parent / "docs/options.md"


def test_every_option_of_the_configuration_and_of_each_component_is_there() -> None:
    found = {(block.section, block.component, option.path) for block in option_blocks() for option in block.options}
    artifacts = {f"artifacts.{name}" for name in registry.classes("artifact")}
    of_the_search = {"sampler.name", "scheduler.name", "logger.name"}
    single = {path for _, component, path in found if not component}
    assert single == set(TrialConfig().flat()) | artifacts | of_the_search
    prefixes = dict.fromkeys((*registry.SECTIONS, "sampler", "scheduler"), "{kind}.") | {"logger": "logger.{name}."}
    for kind, prefix in prefixes.items():
        for name, cls in registry.classes(kind).items():
            own = {path for *block, path in found if tuple(block) in {(kind, ""), (kind, name)}}
            assert {prefix.format(kind=kind, name=name) + field.name for field in fields(cls)} <= own


def test_every_option_says_what_it_does_and_each_component_what_it_is() -> None:
    for block in option_blocks():
        assert block.about or block.section == "seed", f"{block.section}.{block.component} needs a docstring"
        for option in block.options:
            where = f"{option.path} of {block.component or block.section}"
            assert option.help, f"{where}: give Field(description=...) or an entry of Args in the docstring"
            assert "\n" not in option.help and option.type, where
            assert option.type not in {"int", "float"} or option.domain, where


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(), "write it anew: gansearch options --markdown > docs/options.md"


def test_a_component_a_section_or_one_option_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for target in ("loss.wgan", "optim", "optim.g_lr", "model.dcgan", "seed"):
        assert main(["options", target]) == 0
        shown[target] = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown["loss.wgan"] == ["loss.name", "loss.class_weight", "loss.clip"]
    assert shown["optim"] == [f"optim.{name}" for name in TrialConfig().optim.model_dump()]
    assert (shown["optim.g_lr"], shown["seed"]) == (["optim.g_lr"], ["seed"])
    assert len(shown["model.dcgan"]) == 11


def test_types_defaults_and_domains_are_written_as_set_takes_them() -> None:
    def told(target: str) -> tuple[str, str, str]:
        (block,) = option_blocks(target)
        return block.options[0].type, block.options[0].default, block.options[0].domain

    assert told("optim.beta1") == ("float", "0.5", ">= 0, < 1")
    assert told("metrics.chunk") == ("int or null", "null", ">= 2, <= 10000000")
    assert told("artifacts.gif") == ("bool", "true", "true | false")
    assert told("train.compile") == ("str", "never", "auto | always | never")
    assert told("data.skip_broken") == ("bool", "false", "true | false")
    assert [block.options[0].default for block in option_blocks("model.attention_at")] == ["none", "8"]
    assert [block.options[0].default for block in option_blocks("data.dir")] == ["null", "null", "required"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [("los", "did you mean loss?"), ("loss.wgn", "did you mean loss.wgan"), ("optim.lr", "optim.g_lr")],
)
def test_an_unknown_target_gets_one_line(target: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options", target]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
