"""Prints what re-estimating batch normalisation is worth: the table in docs/problems/sew.md."""

import pytest
import torch

from snnbench.problem import Context, default_cache
from snnbench.problems.sew import SEWDigits
from snnbench.snn.layers import ConvNorm, set_mode
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.weights import load_tensors


class AveragedStatistics(PopulationEvaluator):
    """The alternative: every candidate runs with the average of the members' own running statistics."""

    members: list

    @torch.inference_mode()
    def _load(self, replica, x):
        network, vector = replica
        self.codec.decode(x, out=vector)
        set_mode(network, "folded")
        for name, layer in network.named_modules():
            if isinstance(layer, ConvNorm):
                for moment in ("running_mean", "running_var"):
                    average = torch.stack([m[f"{name}.norm.{moment}"] for m in self.members]).mean(dim=0)
                    getattr(layer.norm, moment).copy_(average)
                layer.fold()
        return True


@pytest.mark.performance
def test_reestimated_against_averaged_statistics():
    problem = SEWDigits(context=Context())
    problem.prepare()
    folder = default_cache() / "checkpoints" / problem.name
    AveragedStatistics.members = [load_tensors(folder / c["file"]) for c in problem.describe()["checkpoints"][1:]]
    x, generator = problem.initial(8), torch.Generator().manual_seed(0)

    def trials(factor, rate):
        rows = []
        for i in range(len(x)):
            a, b, c = [j for j in torch.randperm(8, generator=generator).tolist() if j != i][:3]
            crossed = torch.rand(x.shape[1], generator=generator) < rate
            rows.append(torch.where(crossed, x[a] + factor * (x[b] - x[c]), x[i]))
        return torch.stack(rows)

    candidates = {
        "members": x,
        "their mean": x.mean(dim=0, keepdim=True),
        "DE trials, F = 0.5, CR = 0.9": trials(0.5, 0.9),
        "crossover alone, CR = 0.5": trials(0.0, 0.5),
    }
    images, labels = problem._samples["search"]
    own = problem._evaluator
    for name, points in candidates.items():
        line = f"\n{name}:"
        for kind, samples in ((AveragedStatistics, 128), *((PopulationEvaluator, n) for n in (32, 128, 512, 1000))):
            evaluator = kind(
                own._build, own.codec, own.prepare_images, images[:samples], own.chunk, own.confidence, own.energy
            )
            found = evaluator.evaluate(points, images, labels)
            how = "averaged" if kind is AveragedStatistics else str(samples)
            line += f"  {how} {found['error'].mean():.3f} ({found['loss'].mean():.3f})"
            assert found["error"].max() < 1.0
        print(line)
