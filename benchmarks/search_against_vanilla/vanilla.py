"""What a user would write without gansearch: a Ray function with a plain PyTorch loop, `OptunaSearch` and ASHA.

python -m benchmarks.search_against_vanilla.vanilla SECONDS SEED CPUS FOLDER
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.search_against_vanilla.measure import fid, num_images, real_images

Z, WIDTH, BATCH = 100, 32, 64
EVALUATIONS, STEPS = 12, 75  # an FID every 75 batches: 57.6 kimg in all
SPACE = {
    "g_lr": tune.loguniform(2e-4, 4e-3),
    "d_lr": tune.loguniform(2e-4, 4e-3),
    "beta1": tune.uniform(0.0, 0.5),
    "d_steps": tune.randint(1, 3),
    "slope": tune.uniform(0.0, 0.3),
    "loss": tune.choice(["bce", "hinge"]),
}


def generator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.ConvTranspose2d(Z, 4 * WIDTH, 4, bias=False)]
    for width in (4 * WIDTH, 2 * WIDTH):
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
    layers += [nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1), nn.Tanh()]
    return nn.Sequential(*map(init, layers))


def discriminator(slope: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(1, WIDTH, 4, 2, 1), nn.LeakyReLU(slope)]
    for width in (WIDTH, 2 * WIDTH):
        layers += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(slope)]
    return nn.Sequential(*map(init, [*layers, nn.Conv2d(4 * WIDTH, 1, 4), nn.Flatten(0)]))


def init(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    return layer


def d_loss(name: str, real: Tensor, fake: Tensor) -> Tensor:
    if name == "bce":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def train(config: dict[str, Any], seed: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    real, fixed = real_images(), torch.randn(num_images(), Z, 1, 1)
    G, D = generator(), discriminator(config["slope"])
    g_adam = torch.optim.Adam(G.parameters(), config["g_lr"], betas=(config["beta1"], 0.999))
    d_adam = torch.optim.Adam(D.parameters(), config["d_lr"], betas=(config["beta1"], 0.999))
    for step in range(1, EVALUATIONS * STEPS + 1):
        fake = G(torch.randn(BATCH, Z, 1, 1))
        d_adam.zero_grad()
        batch = real[torch.randint(len(real), (BATCH,))]
        d_loss(config["loss"], D(batch), D(fake.detach())).backward()
        d_adam.step()
        if step % config["d_steps"] == 0:
            g_adam.zero_grad()
            logits = D(fake)
            (F.softplus(-logits).mean() if config["loss"] == "bce" else -logits.mean()).backward()
            g_adam.step()
        if step % STEPS == 0:
            with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
                torch.save(G.state_dict(), Path(folder) / "generator.pt")
                metrics = {"fid": fid(G.eval()(fixed)), "kimg": step * BATCH / 1000}
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
            G.train()


def main(seconds: float, seed: int, cpus: int, folder: Path) -> None:
    ray.init("local", include_dashboard=False, num_cpus=cpus)
    tuner = tune.Tuner(
        tune.with_parameters(train, seed=seed),
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            metric="fid",
            mode="min",
            search_alg=OptunaSearch(seed=seed),
            scheduler=ASHAScheduler(max_t=EVALUATIONS, reduction_factor=3),
            num_samples=-1,
            time_budget_s=seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent.absolute()),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute="fid", checkpoint_score_order="min"
            ),
        ),
    )
    tuner.fit()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
