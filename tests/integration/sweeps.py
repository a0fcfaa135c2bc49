"""Sweeps of a tiny model and their results."""
import csv

from run_configs import strategies, write_config


def write_sweep(path, directory, model, **sweep):
    """Two strategies, six instructions and one epoch; `sweep` are keys of that section."""
    return write_config(path, directory, model, strategies=strategies("prefix", "refine"),
                        instructions={"limit": 6, "held_out": 3},
                        synthesis={"max_new_tokens": 8, "max_input_tokens": 8192},
                        train={"max_length": 512, "max_prompt_length": 256, "epochs": 1},
                        sweep={"judge": False, "keep_models": False, **sweep})


def results(directory):
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))
