"""Attention maps: the real weights, drawn at the right place, without an effect on the network."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gansearch.models.attention import SelfAttention
from gansearch.training.attention_maps import QUERIES, attends, evaluating, picture, watching

CENTRE = 0
CELL, GAP, BAR = 96, 4, 4
TEXT = 24  # the height of a line of text
TOP = 2 * TEXT + GAP + BAR


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        SelfAttention(16, sn=True),
        nn.Dropout(0.5),
        nn.Conv2d(16, 8, 2, 2),
        SelfAttention(8),
    )
    net[3].eval()  # a part that is in another mode than the whole
    return net


def images(count: int = 2, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_maps_are_the_softmax_rows_of_the_queries() -> None:
    net, x = network().eval(), images()
    with torch.no_grad(), watching(net) as maps:
        net(x)
    assert [tuple(found.shape) for found in maps] == [(2, 4, 16, 16), (2, 4, 8, 8)]
    for found, before, size in ((maps[0], net[:2], 16), (maps[1], net[:5], 8)):
        with torch.no_grad():
            layer = net[2] if size == 16 else net[5]
            features = before(x)
            query, key = layer.f(features), layer.g(features)
        for number, share in enumerate(QUERIES):
            at = int(share * size)
            scores = torch.einsum("nc,nchw->nhw", query[:, :, at, at], key)
            expected = scores.flatten(1).softmax(1).view(-1, size, size)
            torch.testing.assert_close(found[:, number], expected)
    assert QUERIES[CENTRE] == 0.5


def test_looking_leaves_no_trace() -> None:
    net = network().train()
    net[3].eval()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    assert len(set(modes)) == 2
    for _ in range(2):
        with torch.no_grad(), evaluating(net), watching(net) as maps:
            assert not any(module.training for module in net.modules())
            net(images())
        assert len(maps) == 2
    assert [module.training for module in net.modules()] == modes
    with pytest.raises(RuntimeError, match="channels"), evaluating(net), watching(net) as maps:
        net(images(channels=1))
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    net(images())
    assert maps == [], "no hook is left"


def test_who_attends() -> None:
    assert attends(network())
    assert not attends(nn.Sequential(nn.Conv2d(3, 3, 1)))


def tile(shown: Image.Image, row: int, column: int) -> np.ndarray:
    top, left = TOP + row * (CELL + GAP), GAP + column * (CELL + GAP)
    return np.asarray(shown)[top : top + CELL, left : left + CELL].astype(int)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_shows_the_image_and_a_peak_where_it_is(channels: int) -> None:
    maps = torch.full((2, 4, 8, 8), 1e-4)
    peaks = {(0, CENTRE): (1, 6), (1, CENTRE): (6, 1), (0, 1): (3, 4), (1, 3): (2, 2)}
    for (image, query), (row, column) in peaks.items():
        maps[image, query, row, column] = 1.0
    x = images(channels=channels)
    shown = picture(x, [maps], "title")
    assert shown.size == (GAP + 5 * (CELL + GAP), TOP + 2 * (CELL + GAP))
    for image in range(2):
        pixel = tile(shown, image, 0)[::6, ::6]  # each pixel is 6 x 6 large
        expected = ((x[image].permute(1, 2, 0).numpy() + 1) * 127.5).round()
        same = (np.abs(pixel - expected) <= 1).all(-1)
        assert same.mean() > 0.9, "all but the marks"
    for (image, query), (row, column) in peaks.items():
        colour = np.asarray(shown)[2 * TEXT + 1, GAP + (query + 1) * (CELL + GAP) + 1].astype(int)
        distance = np.abs(tile(shown, image, query + 1) - colour).sum(-1)
        distance[75:, :50] = 999  # the figure
        found_row, found_column = np.unravel_index(distance.argmin(), distance.shape)
        assert (found_row // 12, found_column // 12) == (row, column)


def test_queries_are_marked_in_the_image_and_in_their_maps() -> None:
    even = torch.full((1, 4, 8, 8), 1 / 64)
    shown = picture(torch.zeros(1, 1, 16, 16), [even], "title")
    colours = [tuple(np.asarray(shown)[2 * TEXT + 1, GAP + query * (CELL + GAP) + 1]) for query in range(1, 5)]
    assert len(set(colours)) == 4
    for query, share in enumerate(QUERIES):
        edge = int(share * 8) * 12 + 1
        assert tuple(tile(shown, 0, 0)[edge, edge]) == colours[query]
        assert tuple(tile(shown, 0, query + 1)[edge, edge]) == (255, 255, 255)


def test_small_images_are_enlarged_and_each_attention_has_its_rows() -> None:
    maps = [torch.full((2, 4, size, size), 1.0 / size**2) for size in (4, 8)]
    block = GAP + BAR + 2 * (CELL + GAP)
    assert picture(torch.zeros(2, 1, 8, 8), maps, "").size == (504, TEXT + 2 * (TEXT + block))
    assert picture(torch.zeros(2, 3, 128, 128), maps[:1], "").size == (4 + 5 * 132, 30 + 30 + GAP + BAR + 2 * 132)


def test_text_stands_above_the_maps_and_names_beside_them() -> None:
    maps = [torch.full((2, 4, size, size), 1.0 / size**2) for size in (8, 16)]
    drawn = [np.asarray(picture(torch.ones(2, 1, 16, 16), maps, title, names)) for title, names in TEXTS]
    plain, titled, named = drawn
    assert plain.shape == titled.shape and named.shape[0] == plain.shape[0]
    differs = (plain != titled).any((1, 2))
    assert differs[:TEXT].any() and not differs[TEXT:].any()
    left = named.shape[1] - plain.shape[1]
    assert left > 60 and (named[:, left:] == titled).all()
    rows = np.flatnonzero((named[:, :left] < 100).any((1, 2)))
    block = TEXT + GAP + BAR + 2 * (CELL + GAP)
    for part in (0, 1):
        for row in (0, 1):
            top = TEXT + part * block + TEXT + GAP + BAR + row * (CELL + GAP)
            assert ((rows >= top) & (rows < top + CELL)).any(), "a name beside each image"
    subtitles = [plain[TEXT + part * block :][:TEXT] for part in (0, 1)]
    assert (subtitles[0] != subtitles[1]).any(), "8 x 8 and 16 x 16"


TEXTS = (("", ()), ("G at 1 kimg", ()), ("G at 1 kimg", ("automobile", "the cat\n of 犬")))
