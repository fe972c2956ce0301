"""Spectral norm (Miyato et al. 2018) for a whole network at once: each weight is divided by its largest singular value.

u and v, the singular vectors of that value, are estimated. A power iteration, algorithm 1 of the paper, brings them
closer once a step of the network, and `|W^T u|` is taken as the value. torch's own spectral norm iterates in every
forward pass, layer by layer, and so takes most of the kernels of a step: `benchmarks/launches.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

_FIRST_ITERATIONS = 15  # as many as torch's own spectral norm makes of a new weight
_LEAST = 1e-12  # in place of the norm of a vector of zeros

_KINDS: dict[type[nn.Module], type[nn.Module]] = {}


def spectral_norm(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding) -> None:
    """Puts spectral norm on the `weight` of a layer, as a parametrization of torch.

    The rows of the matrix are the output channels. Forward passes iterate nothing: see `SpectralNorms`.
    """
    kind = type(layer)
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim))
    # torch makes a class for every parametrised layer and compiles code for every class, so layers of a kind share one
    # here. Removing spectral norm from one layer would therefore remove it from all of them.
    layer.__class__ = _KINDS.setdefault(kind, type(layer))  # type: ignore[assignment]


class SpectralNorm(nn.Module):
    """Divides a weight by its spectral norm; `held` is what it returns within `SpectralNorms.held`.

    Args:
        weight: The weight.
        dim: The dimension of the output channels, which are the rows of the matrix.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, dim: int) -> None:
        super().__init__()
        order = [0, 2, 3, 1] if weight.dim() == 4 else list(range(weight.dim()))  # channels last: the matrix is a view
        self._order = [dim, *(one for one in order if one != dim)]
        self.held: Tensor | None = None
        with torch.no_grad():
            matrix = self.matrix(weight)
            for name, length in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, nn.functional.normalize(weight.new_empty(length).normal_(), dim=0))
            for _ in range(_FIRST_ITERATIONS):
                normalise([(self, weight)], iterate=True)

    def forward(self, weight: Tensor) -> Tensor:
        if self.held is not None:
            return self.held
        with torch.autocast(weight.device.type, enabled=False):
            return weight / (self.matrix(weight).T @ self._u).norm().clamp(min=_LEAST)

    def matrix(self, weight: Tensor) -> Tensor:
        """Returns a weight as the matrix (channels, rest)."""
        return weight.permute(self._order).flatten(1)

    def vectors(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns views of u and v whose product has the shape of the weight."""
        first, *rest = (weight.shape[dim] for dim in self._order)
        back = sorted(range(weight.dim()), key=self._order.__getitem__)
        u, v = self._u.view(first, *(1 for _ in rest)), self._v.view(1, *rest)
        return u.permute(back), v.permute(back)


class SpectralNorms:
    """All weights of a network that have spectral norm, normalised at once and once for all passes of a step."""

    def __init__(self, network: nn.Module) -> None:
        self._parts: list[Any] = [
            part
            for part in network.modules()
            if isinstance(part, parametrize.ParametrizationList) and isinstance(part[0], SpectralNorm)
        ]
        self._normalised: list[Tensor] = []
        self._sigmas: list[Tensor] = []
        self._versions: list[int] = []  # of the weights and vectors that these were made from

    def iterate(self) -> None:
        """Makes one power iteration; to be called when an optimiser has changed the weights."""
        if self._parts:
            self._normalise(iterate=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lets the layers return weights that are normalised already, with a graph to the parameters.

        Gradients flow through that graph once: it can't be differentiated twice, as opposed to what is made of it.
        """
        if not self._parts:
            yield
            return
        if self._versions != self._current():  # others were loaded
            self._normalise(iterate=False)
        norms, weights = [part[0] for part in self._parts], [part.original for part in self._parts]
        for norm, weight in zip(norms, _Held.apply(norms, self._normalised, self._sigmas, *weights), strict=True):
            norm.held = weight
        try:
            yield
        finally:
            for norm in norms:
                norm.held = None

    def _normalise(self, *, iterate: bool) -> None:
        pairs = [(part[0], part.original) for part in self._parts]
        self._normalised, self._sigmas = normalise(pairs, iterate=iterate)
        self._versions = self._current()

    def _current(self) -> list[int]:
        return [tensor._version for part in self._parts for tensor in (part.original, part[0]._u)]


@torch.no_grad()
def normalise(pairs: Sequence[tuple[SpectralNorm, Tensor]], *, iterate: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the weights of `pairs`, each divided by its spectral norm, and these norms, scalars.

    Args:
        pairs: The weights, each with its spectral norm, whose vectors become those of the weight.
        iterate: Whether u becomes W v before v becomes W^T u, which is one power iteration.
    """
    us, vs = [norm._u for norm, _ in pairs], [norm._v for norm, _ in pairs]
    matrices = [norm.matrix(weight) for norm, weight in pairs]
    if iterate:
        for matrix, u, v in zip(matrices, us, vs, strict=True):
            torch.mv(matrix, v, out=u)
        torch._foreach_div_(us, _lengths(us))
    for matrix, u, v in zip(matrices, us, vs, strict=True):
        torch.mv(matrix.T, u, out=v)
    sigmas = _lengths(vs)
    torch._foreach_div_(vs, sigmas)
    return list(torch._foreach_div([weight for _, weight in pairs], sigmas)), sigmas


def _lengths(vectors: list[Tensor]) -> list[Tensor]:
    lengths = torch._foreach_norm(vectors)
    torch._foreach_clamp_min_(lengths, _LEAST)
    return list(lengths)


class _Held(Function):
    """Gives weights that are normalised already a graph to the parameters that they were made from."""

    @staticmethod
    def forward(
        ctx: Any, norms: list[SpectralNorm], normalised: list[Tensor], sigmas: list[Tensor], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        shaped = [norm.vectors(weight) for norm, weight in zip(norms, weights, strict=True)]
        ctx.save_for_backward(*normalised, *sigmas, *(u for u, _ in shaped), *(v for _, v in shaped))
        ctx.set_materialize_grads(False)
        return tuple(weight.detach() for weight in normalised)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns (grad - <grad, W'> u v^T) / sigma for each W' = W / sigma; u and v count as constants."""
        saved = [ctx.saved_tensors[at :: len(grads)] for at in range(len(grads))]
        used = [(at, grad) for at, grad in enumerate(grads) if grad is not None]
        normalised, sigmas, us, vs = map(list, zip(*(saved[at] for at, _ in used), strict=True))
        scaled = torch._foreach_div([grad for _, grad in used], sigmas)
        shares = [-torch.dot(_flat(grad), _flat(weight)) for grad, weight in zip(scaled, normalised, strict=True)]
        found: list[Tensor | None] = [None] * len(grads)
        for (at, _), grad, u, v in zip(used, scaled, torch._foreach_mul(us, shares), vs, strict=True):
            found[at] = grad.addcmul_(u, v)
        return None, None, None, *found


def _flat(weight: Tensor) -> Tensor:
    """Returns all numbers of a weight, a view where the layout is channels last."""
    return (weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight).flatten()
