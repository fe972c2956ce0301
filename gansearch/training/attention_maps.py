"""Pictures of self-attention: the maps of four query points, laid over the images.

As in the figures of SAGAN (Zhang et al. 2019), a map is a row of the softmax over positions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.models.attention import SelfAttention
from gansearch.training.lettering import drawable, font, font_size, text_width

QUERIES = (1 / 2, 1 / 16, 5 / 16, 13 / 16)
"""The query points, as shares of the height and of the width: the centre and three more on the diagonal."""

_COLOURS = ((250, 220, 40), (70, 190, 255), (255, 110, 40), (225, 120, 220))
_CELL = 96  # pixels, at least
_GAP, _BAR = 4, 4
_SMALLEST_MARK = 10
_DIMMED = 0.45


def attends(network: nn.Module) -> bool:
    """Returns whether a network has self-attention."""
    return any(isinstance(module, SelfAttention) for module in network.modules())


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network into eval mode, so that norms do not change, and restores the mode of each module afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def watching(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the maps (N, 4, h, w) of each self-attention in a forward pass; the weights of a map sum to 1."""
    maps: list[Tensor] = []

    def collect(module: SelfAttention, inputs: tuple[Tensor], _: Tensor) -> None:
        (x,) = inputs
        height, width = x.shape[-2:]
        rows = [row * width + column for row, column in _cells(height, width)]
        maps.append(module.attention(x)[:, rows].unflatten(-1, (height, width)))

    hooks = [module.register_forward_hook(collect) for module in network.modules() if isinstance(module, SelfAttention)]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


def picture(images: Tensor, maps: Sequence[Tensor], title: str, names: Sequence[str] = ()) -> Image.Image:
    """Draws an RGB picture of attention maps.

    A row starts with an image and its query points, followed by the map of each query point. Several self-attentions
    give N rows each, in the order of the forward pass, below a line with the size of their maps. The number in a map is
    its peak over the uniform weight.

    Args:
        images: Images (N, C, H, W) in [-1, 1].
        maps: The maps that `watching` collected while a network saw the images.
        title: The text above all.
        names: A text to the left of each image; none by default.
    """
    blocks = [_block(images, one) for one in maps]
    size = font_size(blocks[0].width)
    margin, line = size // 2, size + size // 2
    short = [drawable(name) for name in names]
    left = max((text_width(name, size) + margin for name in short), default=0)
    width = left + max(blocks[0].width, _GAP + text_width(title, size))
    whole = Image.new("RGB", (width, line + sum(line + block.height for block in blocks)), "white")
    pen = ImageDraw.Draw(whole)
    pen.text((left + _GAP, line // 2), title, fill="black", font=font(size), anchor="lm")
    top = line
    for block, (height, width) in zip(blocks, (one.shape[-2:] for one in maps), strict=True):
        subtitle = f"attention at {height} x {width}"
        pen.text((left + _GAP, top + line // 2), subtitle, fill="black", font=font(size), anchor="lm")
        whole.paste(block, (left, top + line))
        step = (block.height - _GAP - _BAR) / len(images)
        for row, name in enumerate(short):
            middle = top + line + _GAP + _BAR + (row + 0.5) * step
            pen.text((left - margin // 2, middle), name, fill="black", font=font(size), anchor="rm")
        top += line + block.height
    return whole


def _block(images: Tensor, maps: Tensor) -> Image.Image:
    """Draws the rows of one self-attention."""
    count, queries, height, width = maps.shape
    factor = -(-_CELL // images.shape[-1])
    cell = images.shape[-1] * factor
    shown = ((images.float() + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)
    shown = shown.repeat_interleave(factor, -1).repeat_interleave(factor, -2).unsqueeze(1)
    peaks = maps.amax((-1, -2), keepdim=True)
    heat = F.interpolate(maps / peaks, size=(cell, cell), mode="bilinear").unsqueeze(2)
    colours = torch.tensor(_COLOURS, device=images.device).view(queries, 3, 1, 1) / 255
    dimmed = _DIMMED * shown.mean(2, keepdim=True)
    tiles = torch.cat([shown, torch.lerp(dimmed.expand_as(shown), colours, heat)], dim=1)
    pixels = F.pad(tiles, (0, _GAP, 0, _GAP), value=1.0).mul(255).round().to(torch.uint8)
    body = pixels.permute(0, 3, 1, 4, 2).reshape(count * (cell + _GAP), -1, 3).cpu().numpy()
    block = Image.new("RGB", (_GAP + body.shape[1], _GAP + _BAR + body.shape[0]), "white")
    block.paste(Image.fromarray(body), (_GAP, _GAP + _BAR))
    _mark(block, cell, height, width, (peaks.flatten(1) * height * width).tolist())
    return block


def _mark(block: Image.Image, cell: int, height: int, width: int, peaks: list[list[float]]) -> None:
    """Draws squares at the query points, bars in their colours above the columns, and the peaks."""
    pen = ImageDraw.Draw(block)
    side = max(_SMALLEST_MARK, cell / height)
    size = font_size(block.width)
    for query, (row, column) in enumerate(_cells(height, width)):
        centre_x, centre_y = (column + 0.5) * cell / width, (row + 0.5) * cell / height
        left = _GAP + (query + 1) * (cell + _GAP)
        pen.rectangle((left, 0, left + cell - 1, _BAR), fill=_COLOURS[query])
        for image, by_query in enumerate(peaks):
            top = _GAP + _BAR + image * (cell + _GAP)
            for x, colour in ((_GAP, _COLOURS[query]), (left, (255, 255, 255))):
                _square(pen, x + centre_x, top + centre_y, side, colour)
            peak = f"x{by_query[query]:.1f}"
            at = left + 4, top + cell - 4
            pen.text(at, peak, "white", font(size), anchor="ls", stroke_width=1, stroke_fill="black")


def _square(pen: ImageDraw.ImageDraw, x: float, y: float, side: float, colour: tuple[int, int, int]) -> None:
    """Draws an open square around (x, y), with a black edge so that it is visible on any image."""
    for inset, outline in ((0, "black"), (1, colour), (2, colour)):
        reach = (side - 1) / 2 - inset
        pen.rectangle((x - reach, y - reach, x + reach, y + reach), outline=outline)


def _cells(height: int, width: int) -> list[tuple[int, int]]:
    """Returns the positions (row, column) of the query points in a map."""
    return [(int(share * height), int(share * width)) for share in QUERIES]
