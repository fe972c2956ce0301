"""VGG-16, CLIP and DINOv2 with random weights in the published layouts: torch-fidelity's features, checked files."""

import io
import os
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS, CLIPVisual
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.utils import create_feature_extractor

from gansearch.cache import sha256
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.clip_vit_b_32 import CLIPViTB32
from gansearch.metrics.extractors.dinov2_vit_b_14 import CODE, DINOv2ViTB14
from gansearch.metrics.extractors.inception_v3_compat import InceptionV3Compat
from gansearch.metrics.extractors.published import Published
from gansearch.metrics.extractors.vgg16 import VGG16
from tests.metrics.conftest import Serve

CPU = torch.device("cpu")
PUBLISHED: list[type[Published]] = [CLIPViTB32, DINOv2ViTB14, InceptionV3Compat, VGG16]


def test_addresses_and_hashes_are_torch_fidelitys() -> None:
    """They are written out, so that nobody has to import torch-fidelity to know them."""
    clip = CLIPViTB32()
    assert (clip.url, clip.own_sha256) == (MODEL_URLS[clip.name], MODEL_METADATA[clip.name]["hash"])
    assert InceptionV3Compat.url == URL_INCEPTION_V3


# What torch.hub finds in its cache in place of DINOv2's code: as noisy, and as ready to download weights by itself.
HUBCONF = """
import warnings

from torch import nn

warnings.warn("xFormers is disabled (SwiGLU)")
warnings.warn("xFormers is not available (SwiGLU)")
print("a word on stdout")
dependencies = ["torch"]


def dinov2_vitb14(*, pretrained=True):
    assert not pretrained, "weights from elsewhere"
    return nn.Sequential(nn.Conv2d(3, 6, 14, 14), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def images(size: int = 32) -> Tensor:
    return torch.randint(0, 256, (3, 1, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def scripted(state: dict[str, Tensor]) -> torch.jit.ScriptModule:
    """A module without code that has this state dict."""
    root = nn.Module()
    for name, tensor in state.items():
        *folders, last = name.split(".")
        at = root
        for folder in folders:
            if folder not in dict(at.named_children()):
                at.add_module(folder, nn.Module())
            at = at.get_submodule(folder)
        at.register_buffer(last, tensor)
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):
        return torch.jit.script(root)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A small CLIP as it is published: a TorchScript archive in half precision, its text side included."""
    torch.manual_seed(0)
    state = CLIPVisual(
        embed_dim=24, image_resolution=16, vision_layers=2, vision_width=64, vision_patch_size=8
    ).state_dict()
    state |= {"text_projection": torch.randn(40, 24), "logit_scale": torch.tensor(4.6)}
    state |= {"transformer.resblocks.0.ln_1.weight": torch.ones(40), "ln_final.bias": torch.zeros(40)}
    path = tmp_path / "clip.pt"
    scripted({name: tensor.half() for name, tensor in state.items()}).save(str(path))
    return path


@pytest.fixture
def vgg(tmp_path: Path) -> Path:
    """VGG-16's layout; the layers' weights are overlapping views of few random numbers, so that the file is small."""
    with torch.device("meta"):
        layout = torchvision.models.vgg16().state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in layout.items():
        if tensor.dim() == 1:
            state[name] = torch.zeros(tensor.shape)
            continue
        rows, columns = len(tensor), tensor[0].numel()
        numbers = torch.randn(rows + columns, generator=generator) * (2 / columns) ** 0.5
        strides = {2: (1, 1), 4: (1, tensor[0, 0].numel(), tensor.shape[-1], 1)}[tensor.dim()]
        state[name] = numbers.as_strided(tensor.shape, strides)
    path = tmp_path / "vgg.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's cache with code under the pinned name, and with other code under those that a branch would have."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("XFORMERS_DISABLED", raising=False)
    folder = tmp_path / "hub"
    for version in ("main", "master", CODE.rpartition(":")[2]):
        code = folder / f"facebookresearch_dinov2_{version}" / "hubconf.py"
        code.parent.mkdir(parents=True)
        code.write_text(HUBCONF if len(version) == 40 else "raise RuntimeError('code of a branch')")
    return folder


@pytest.fixture
def dino(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "dino.pth"
    torch.save({"0.weight": torch.randn(6, 3, 14, 14) / 24, "0.bias": torch.randn(6)}, path)
    return path


def same_as_torch_fidelitys(extractor: Published, path: Path, rel: float = 1e-6) -> Tensor:
    """Its features, after a look at them: those that torch-fidelity's own class makes with the same file."""
    features = extractor.features(loaded(extractor, CPU), images())
    theirs = create_feature_extractor(
        extractor.name, [extractor.feature_name], cuda=False, feature_extractor_weights_path=str(path), verbose=False
    )
    expected = theirs(images().expand(-1, 3, -1, -1))[0]
    assert expected.std() > 1e-3
    torch.testing.assert_close(features, expected, rtol=0, atol=rel * float(expected.std()))
    return features


def test_clip_is_torch_fidelitys(clip: Path, serve: Serve, recwarn: pytest.WarningsRecorder) -> None:
    asked = serve(CLIPViTB32, clip)
    module = loaded(CLIPViTB32(), CPU)
    assert not list(recwarn)
    assert len(asked) == 1 and not module.training and not any(p.requires_grad for p in module.parameters())
    features = same_as_torch_fidelitys(CLIPViTB32(), clip)
    assert features.shape == (3, 24) and features.dtype == torch.float32


@pytest.mark.slow
def test_vgg16_is_torch_fidelitys(vgg: Path) -> None:
    assert vgg.stat().st_size < 2**21
    extractor = VGG16(weights=str(vgg), weights_sha256=sha256(vgg))
    assert same_as_torch_fidelitys(extractor, vgg).shape == (3, 4096)


def test_dinov2_is_the_pinned_code_with_the_checked_weights(
    dino: Path, hub: Path, serve: Serve, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    asked = serve(DINOv2ViTB14, dino)
    extractor = DINOv2ViTB14()
    features = extractor.features(loaded(extractor, CPU), images(224))  # of the size to which others are stretched
    state = torch.load(dino, weights_only=True)
    mean, std = (torch.tensor(of).view(3, 1, 1) for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = (images(224) / 255 - mean) / std
    expected = nn.functional.conv2d(pixels, state["0.weight"], state["0.bias"], 14).mean((2, 3))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    assert len(asked) == 1
    assert extractor.features(loaded(extractor, CPU), images(32)).shape == (3, 6)
    assert capsys.readouterr().out == "" and not list(recwarn)
    assert os.environ["XFORMERS_DISABLED"] == "1"


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_dinov2s_weights_are_loaded_strictly(dino: Path, hub: Path, change: str) -> None:
    state = torch.load(dino, weights_only=True)
    if change == "missing":
        del state["0.bias"]
    elif change == "more":
        state["0.gamma"] = torch.ones(6)
    else:
        state["0.bias"] = torch.ones(7)
    torch.save(state, dino)
    with pytest.raises(UserError, match=r"dino\.pth holds no weights of dinov2-vit-b-14"):
        DINOv2ViTB14(weights=str(dino), weights_sha256=sha256(dino)).build()


def test_dinov2s_hash_is_that_of_code_and_weights(dino: Path, hub: Path) -> None:
    extractor = DINOv2ViTB14(weights=str(dino), weights_sha256=sha256(dino))
    first = extractor.weights_hash()
    assert first == extractor.weights_hash() != sha256(dino)
    (code,) = hub.rglob(f"*{CODE.rpartition(':')[2]}/hubconf.py")
    code.write_text(code.read_text() + "\n# another line\n")
    assert extractor.weights_hash() != first


def test_dinov2s_weights_are_checked(dino: Path, hub: Path) -> None:
    with pytest.raises(UserError, match=rf"is not the weights file.*expected SHA-256 {DINOv2ViTB14.own_sha256[:12]}"):
        DINOv2ViTB14(weights=str(dino)).build()


def test_dinov2s_code_needs_no_network_nor_a_cache_once_it_is_here(
    dino: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "file"))  # where nothing can be made
    assert DINOv2ViTB14(weights=str(dino), weights_sha256=sha256(dino)).build()


def test_without_a_network_dinov2_says_in_one_line_what_to_do(
    dino: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    for scheme in ("https", "http"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would hold the proxies of before, or these for later
    with pytest.raises(
        UserError, match=r"cannot be downloaded from GitHub to \S+7764ea0f\S+ .*: copy that folder"
    ) as caught:
        DINOv2ViTB14(weights=str(dino), weights_sha256=sha256(dino)).build()
    assert "\n" not in str(caught.value)


def test_damaged_code_of_dinov2_is_distinguished_from_damaged_weights(dino: Path, hub: Path) -> None:
    (hub / f"facebookresearch_dinov2_{CODE.rpartition(':')[2]}" / "hubconf.py").write_text("import no_such_library")
    with pytest.raises(UserError, match=r"^the code of dinov2-vit-b-14 in .* does not run \(No module.*: delete"):
        DINOv2ViTB14(weights=str(dino), weights_sha256=sha256(dino)).build()


def test_what_dinov2_lacks_is_reported_part_by_part(
    dino: Path, hub: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(DINOv2ViTB14, dino)
    weights = DINOv2ViTB14().missing()
    assert weights and "330 MiB from http://127.0.0.1" in weights and "code" not in weights
    monkeypatch.setenv("TORCH_HOME", str(hub / "nowhere"))
    both = DINOv2ViTB14().missing()
    assert both and both.startswith(weights) and CODE in both and "\n" not in both
    code = DINOv2ViTB14(weights=str(dino)).missing()
    assert code and code in both and "MiB" not in code
    assert not asked and not (hub / "nowhere").exists()


def _listed(path: Path) -> None:
    torch.save([1, 2], path)


def _scalar(path: Path) -> None:
    torch.save({"visual.proj": torch.tensor(1), "visual.conv1.weight": torch.tensor(1)}, path)


def _archive(path: Path) -> None:
    scripted({"visual.proj": torch.tensor(1.0), "visual.conv1.weight": torch.tensor(1.0)}).save(str(path))


def _cut(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, buffer)
    path.write_bytes(buffer.getvalue()[:700])


@pytest.mark.parametrize("kind", [CLIPViTB32, DINOv2ViTB14, InceptionV3Compat])
@pytest.mark.parametrize("write", [Path.touch, _listed, _scalar, _archive, _cut])
@pytest.mark.filterwarnings("ignore:.*TorchScript archive")
def test_a_file_of_something_else_is_refused(
    kind: type[Published], write: Callable[[Path], None], tmp_path: Path, hub: Path
) -> None:
    path = tmp_path / "other.pth"
    write(path)
    with pytest.raises(UserError, match=rf"other\.pth holds no weights of {kind.name} \(.+\): give the") as caught:
        kind(weights=str(path), weights_sha256=sha256(path)).build()
    assert "\n" not in str(caught.value)


def test_clip_in_bf16_is_near(clip: Path) -> None:
    exact, fast = (
        CLIPViTB32(weights=str(clip), weights_sha256=sha256(clip), precision=precision)
        for precision in ("float32", "bf16")
    )
    expected, found = (extractor.features(loaded(extractor, CPU), images()) for extractor in (exact, fast))
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    assert (found - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("kind", PUBLISHED)
def test_missing_weights_are_reported_without_a_download(
    kind: type[Published], serve: Serve, clip: Path, hub: Path, tmp_path: Path
) -> None:
    asked = serve(kind, clip)
    missing = kind().missing()
    assert missing and f"{tmp_path / 'cache' / 'weights'}: {kind.mib} MiB from http://127.0.0.1" in missing
    assert not asked and not (tmp_path / "cache").exists()
    kind().weights_hash()
    assert len(asked) == 1 and kind().missing() is None


def test_published_names_hold_their_hashes() -> None:
    assert VGG16.own_sha256.startswith(VGG16.url.removesuffix(".pth").rpartition("-")[2])
    assert CLIPViTB32.own_sha256 in CLIPViTB32.url
    assert all(len(kind.own_sha256) == 64 and kind.url.startswith("https://") for kind in PUBLISHED)
