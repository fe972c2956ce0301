"""Networks without weights: they take no memory, and show whether they can be built and how large they would be."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

META = torch.device("meta")

# Those that refuse no tensor; the others, such as `init.orthogonal_`, are called, so that a wrong use is seen.
_FILLING: frozenset[Callable[..., Tensor]] = frozenset(
    [
        *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
        *(init.normal_, init.uniform_, init.constant_, init.ones_, init.zeros_),
    ]
)


@contextmanager
def without_weights() -> Iterator[None]:
    """Makes the networks that are built inside ones without weights."""
    with META, _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Leaves a tensor without memory as it is: to fill it would change nothing and only take time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FILLING:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)
