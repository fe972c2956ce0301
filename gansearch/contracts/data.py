"""The contract of a data set."""

import torch
from pydantic import ValidationError

from gansearch.contracts.base import Violation, changed, holds, require
from gansearch.data.base import Dataset, Images, NoSplit
from gansearch.errors import UserError

SUBJECT = Dataset


def _test_images(dataset: Dataset) -> Images | None:
    try:
        return dataset.load("test")
    except NoSplit:
        return None


@holds("Images are square, uint8 (N, C, H, W) with one or three channels, of the resolution asked for, and differ.")
def images_are_square_bytes(dataset: Dataset) -> None:
    size = dataset.resolution
    for split, images in (("train", dataset.load("train")), ("test", _test_images(dataset))):
        if images is None:
            continue
        pixels = images.pixels
        require(pixels.dtype == torch.uint8, f"the {split} images are {pixels.dtype}, not uint8")
        require(
            pixels.dim() == 4 and pixels.shape[1] in {1, 3} and pixels.shape[2:] == (size, size),
            f"the {split} images have the shape {tuple(pixels.shape)}, not (N, 1 or 3, {size}, {size})",
        )
        require(pixels.is_contiguous(), f"the {split} images are not contiguous: return pixels.contiguous()")
        require(len(images) > 0, f"there are no {split} images")
        require(len(images) == 1 or (pixels != pixels[0]).any(), f"all {split} images are the same")


@holds("Its images have the channels and the classes that `known_shape` declares.")
def the_declared_shape_is_true(dataset: Dataset) -> None:
    images = dataset.load("train")
    found = images.shape[0], len(images.classes)
    require(
        dataset.known_shape in {None, found},
        f"(channels, classes) are {found}, not known_shape={dataset.known_shape}",
    )


@holds("Labels number the classes, or there are neither.")
def labels_number_the_classes(dataset: Dataset) -> None:
    for split, images in (("train", dataset.load("train")), ("test", _test_images(dataset))):
        if images is None:
            continue
        labels, classes = images.labels, images.classes
        if labels is None:
            require(not classes, f"the {split} images have {len(classes)} classes and no labels")
            continue
        require(labels.dtype == torch.int64, f"the {split} labels are {labels.dtype}, not int64")
        require(
            labels.shape == (len(images),),
            f"the {split} labels have the shape {tuple(labels.shape)}, not ({len(images)},)",
        )
        inside = len(images) == 0 or (labels.min() >= 0 and labels.max() < len(classes))
        require(
            inside, f"the {split} labels are not all in 0 to {len(classes) - 1}: `classes` has {len(classes)} names"
        )


@holds("The two splits, where there are two, have other images and the same classes.")
def splits_differ(dataset: Dataset) -> None:
    train, test = dataset.load("train"), _test_images(dataset)
    if test is None:
        return
    require(train.fingerprint != test.fingerprint, "both splits are the same images; raise NoSplit where there is one")
    require(train.classes == test.classes, f"the classes are {train.classes} in train and {test.classes} in test")
    require(train.shape == test.shape, f"the images are {train.shape} in train and {test.shape} in test")


@holds("Loading twice gives the same bytes, and draws no random numbers from torch.")
def loading_repeats_itself(dataset: Dataset) -> None:
    prints = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            prints.append(dataset.load("train").fingerprint)
            require(
                torch.equal(torch.get_rng_state(), before),
                "it draws from torch's global generator: seed one of its own",
            )
    require(prints[0] == prints[1], "the second time other images are loaded, or the same ones in another order")


@holds("The fingerprint is that of the bytes.")
def fingerprint_is_of_the_bytes(dataset: Dataset) -> None:
    images = dataset.load("train")
    plain = Images(images.pixels.clone(), images.labels)
    require(images.fingerprint == plain.fingerprint, "the fingerprint that it gives is not that of these images")


@holds("Writing into the pixels changes nobody else's.")
def pixels_are_one_s_own(dataset: Dataset) -> None:
    mine, other = dataset.load("train"), dataset.load("train")
    before = other.pixels.clone()
    mine.pixels.bitwise_not_()
    for images in (other, dataset.load("train")):
        require(
            torch.equal(images.pixels, before), "two calls of `load` share the memory of their pixels: return a copy"
        )


@holds("Another resolution gives as many images in that resolution, or is refused.")
def other_resolutions_are_resized(dataset: Dataset) -> None:
    size = 16 if dataset.resolution != 16 else 8
    try:
        small = changed(dataset, resolution=size).load("train")
    except (UserError, ValidationError):
        return
    expected = (len(dataset.load("train")), dataset.load("train").shape[0], size, size)
    found = tuple(small.pixels.shape)
    require(found == expected, f"with resolution={size} the images are {found}, not {expected}: use `data.base.resize`")


@holds("A resolution below 8 is refused.")
def a_resolution_too_small_is_refused(dataset: Dataset) -> None:
    try:
        changed(dataset, resolution=4)
    except (UserError, ValidationError):
        return
    raise Violation("resolution=4 is accepted, at which no model trains: keep the field's ge=8")
