"""Time of a data-parallel step on p ranks: computing, shared among the cores, plus a ring all-reduce of the gradients
in the alpha-beta model (Hockney 1994; Thakur et al. 2005): 2 (p - 1) alpha + 2 (p - 1) / p * bytes * beta."""

from dataclasses import dataclass

import numpy as np


def ring_seconds(ranks, size, alpha, beta):
    """An all-reduce of `size` bytes; alpha [s] a message, beta [s/byte]."""
    ranks = np.asarray(ranks, float)
    return 2 * (ranks - 1) * alpha + 2 * (ranks - 1) / ranks * np.asarray(size, float) * beta


def fit_alpha_beta(ranks, sizes, seconds):
    """Least squares of relative errors, neither below zero. Messages of one size do not tell the two apart: there the
    bytes take all the time."""
    from scipy.optimize import nnls

    ranks, sizes, seconds = (np.asarray(v, float) for v in (ranks, sizes, seconds))
    matrix = np.stack([2 * (ranks - 1), 2 * (ranks - 1) / ranks * sizes], axis=1) / seconds[:, None]
    if np.ptp(sizes) == 0 and sizes[0] > 0:
        matrix[:, 0] = 0
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1
    (alpha, beta), _ = nnls(matrix / scale, np.ones(len(seconds)))
    return alpha / scale[0], beta / scale[1]


@dataclass
class Machine:
    """What a prediction rests on."""
    flops: float  # a rank's, reached in training [FLOP/s]
    alpha: float  # between nodes [s]
    beta: float  # between nodes, a rank's share [s/byte]
    ranks_per_node: int = 1
    alpha_node: float = 0.0  # within a node
    beta_node: float = 0.0
    cores: float = float("inf")  # that all ranks share
    overlap: float = 0.0  # share of the reduction hidden behind the backward pass, as far as that lasts


def step_seconds(machine, ranks, flops, gradient_bytes):
    """A step of `flops` in all on `ranks`: strong scaling for a constant `flops`, weak for one that grows with ranks.
    Hierarchical reduction: within the node, then one ring across nodes of each rank's part."""
    ranks = int(ranks)
    computing = flops / ranks / machine.flops * max(1.0, ranks / machine.cores)
    inner = min(ranks, machine.ranks_per_node)
    nodes = max(1, ranks // machine.ranks_per_node)
    reduction = ring_seconds(inner, gradient_bytes, machine.alpha_node, machine.beta_node)
    reduction += ring_seconds(nodes, gradient_bytes / inner, machine.alpha, machine.beta)
    hidden = min(machine.overlap * reduction, 2 / 3 * computing)  # the backward pass is two thirds
    return float(computing + reduction - hidden)


def predict(machine, counts, flops, gradient_bytes, mode="strong"):
    """Rows (ranks, seconds a step, efficiency)."""
    alone = step_seconds(machine, 1, flops, gradient_bytes)
    rows = []
    for ranks in counts:
        work = flops * ranks if mode == "weak" else flops
        seconds = step_seconds(machine, ranks, work, gradient_bytes)
        rows.append((ranks, seconds, alone / seconds if mode == "weak" else alone / (ranks * seconds)))
    return rows
