"""The private names of other packages that the code leans on: each is listed here with a test of what it must do."""

import ast
from pathlib import Path

import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from torch import Tensor, nn

import gansearch
from gansearch.run.space import Domain

ROOT = Path(gansearch.__file__).parent
KNOWN = {
    "torch._dynamo.config.accumulated_recompile_limit",
    "torch._dynamo.config.recompile_limit",
    "torch._dynamo.exc.TorchDynamoException",
    "torch._foreach_clamp_max_",
    "torch._foreach_clamp_min_",
    "torch._foreach_div",
    "torch._foreach_div_",
    "torch._foreach_lerp_",
    "torch._foreach_mul",
    "torch._foreach_norm",
    "torch.ops.mkldnn._linear_pointwise",
}
# What these must do is seen with a real Ray only: in tests/search/test_session.py (a Ray of one's own, addresses of a
# cluster), test_placement.py (autoscalers) and test_chaos.py (processes and nodes).
KNOWN_RAY = {
    "ray._common.usage.usage_lib.get_cluster_metadata",
    "ray._common.utils.get_default_system_temp_dir",
    "ray._private.authentication.authentication_token_setup.ensure_token_if_auth_enabled",
    "ray._private.ray_constants",
    "ray._private.services",
    "ray._private.state.actors",
    "ray._private.utils",
    "ray._private.utils.check_version_info",
    "ray._private.utils.compute_version_info",
    "ray._private.worker",
    "ray._raylet.AuthenticationTokenLoader",
    "ray._raylet.Config",
    "ray._raylet.GcsClient",
    "ray.experimental.internal_kv._internal_kv_get",
}


def _is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def private_names(source: str) -> set[str]:
    """Returns the private names that a source imports from other packages or looks up in modules of theirs."""
    tree, modules, found = ast.parse(source), {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {(alias.asname or alias.name.split(".")[0]): alias.name for alias in node.names}
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("gansearch"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name) and node.id in modules:
            found.add(".".join([modules[node.id].split(".")[0], *reversed(parts)]))
    longest = {name for name in found if not any(other.startswith(f"{name}.") for other in found)}
    public = ("_typeshed.", "os._exit")
    return {name for name in longest if _is_private(name) and not name.startswith(public)}


def test_private_names_are_seen() -> None:
    source = "import torch as t\nfrom ray._private.utils import get\nt._a.b(t.ops.c._d, self._e)\n"
    assert private_names(source) == {"ray._private.utils.get", "torch._a.b", "torch.ops.c._d"}


def test_every_private_name_is_listed() -> None:
    found = set().union(*(private_names(path.read_text()) for path in ROOT.rglob("*.py")))
    assert found == KNOWN | KNOWN_RAY


def tensors() -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=rng) for shape in ((3, 2), (5,), ())]


def test_foreach_does_what_each_tensor_would() -> None:
    lerped, clamped, divided = tensors(), tensors(), tensors()
    torch._foreach_lerp_(lerped, [torch.ones_like(value) for value in lerped], 0.25)
    torch._foreach_clamp_min_(clamped, -0.5)
    torch._foreach_clamp_max_(clamped, 0.5)
    torch._foreach_div_(divided, torch._foreach_norm(divided))
    halved = torch._foreach_div(tensors(), [torch.tensor(2.0)] * 3)
    doubled = torch._foreach_mul(tensors(), [torch.tensor(2.0)] * 3)
    for before, *after in zip(tensors(), lerped, clamped, divided, halved, doubled, strict=True):
        clamped_one, norm = before.clamp(-0.5, 0.5), before.norm()
        expected = before.lerp(torch.ones_like(before), 0.25), clamped_one, before / norm, before / 2, before * 2
        for mine, theirs in zip(after, expected, strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN takes F.linear")
def test_linear_pointwise_is_a_linear_layer() -> None:
    layer, x = nn.Linear(6, 4), torch.randn(5, 6)
    product = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")
    torch.testing.assert_close(product, layer(x))


def test_dynamo_has_its_limits_and_its_error() -> None:
    import torch._dynamo
    from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException

    assert torch._dynamo.config.recompile_limit >= 1
    assert torch._dynamo.config.accumulated_recompile_limit >= 1
    assert issubclass(BackendCompilerFailed, TorchDynamoException)


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-4, 1e-2, log=True),
        FloatDistribution(0, 0.9, step=0.3),
        IntDistribution(1, 5, step=2),
        CategoricalDistribution(["none", 8, False, None]),
    ],
)
def test_a_distribution_s_dict_is_what_optuna_writes(distribution: FloatDistribution) -> None:
    """`_asdict` is called by name, because a run is read without Optuna."""
    read = Domain.model_validate_json(distribution_to_json(distribution))
    assert Domain.model_validate(distribution) == read
