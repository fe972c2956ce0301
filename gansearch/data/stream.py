"""Brings batches of images from the memory of the machine to a GPU while the GPU trains on the one before."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

_AHEAD = 2  # batches that are read before they are asked for


class Stream:
    """Copies of images on a device, batch by batch, in an order.

    A thread reads what comes next, from a file where the pixels are mapped, into pinned memory, so that the copy to the
    GPU waits for nothing.

    Args:
        pixels: uint8 (N, C, H, W) in the memory of the machine.
        device: Where batches go.
    """

    def __init__(self, pixels: Tensor, device: torch.device) -> None:
        self._pixels, self._device = pixels, device
        self._order: Tensor | None = None  # as it lies on the device
        self._indices = torch.empty(0, dtype=torch.int64)  # the same on the CPU
        self._reader = ThreadPoolExecutor(1, "images")
        self._read: deque[tuple[int, Future[Tensor]]] = deque()

    def take(self, order: Tensor, start: int, count: int) -> Tensor:
        """Returns the images (count, C, H, W) at `order[start : start + count]`, on the device.

        `order` (N,) is the same tensor for a whole epoch.
        """
        if order is not self._order:  # one wait for the GPU in an epoch, not in every batch
            self._order, self._indices = order, order.cpu()
            self._read.clear()
        if not self._read or self._read[0][0] != start:
            self._read.clear()
            self._request(start, count)
        while len(self._read) <= _AHEAD and self._read[-1][0] + 2 * count <= len(self._indices):
            self._request(self._read[-1][0] + count, count)
        _, batch = self._read.popleft()
        # torch keeps pinned memory that is freed until the copies from it are done.
        return batch.result().to(self._device, non_blocking=True)

    def _request(self, start: int, count: int) -> None:
        chosen = self._indices[start : start + count]
        self._read.append((start, self._reader.submit(self._gathered, chosen)))

    def _gathered(self, chosen: Tensor) -> Tensor:
        pinned = self._device.type == "cuda"
        into = torch.empty((len(chosen), *self._pixels.shape[1:]), dtype=torch.uint8, pin_memory=pinned)
        return torch.index_select(self._pixels, 0, chosen, out=into)
