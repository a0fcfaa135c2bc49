"""Configs of small runs, as JSON, which is YAML."""
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTRUCTIONS = ROOT / "data/instructions.jsonl"
STRATEGIES = [*({"name": name, "model": "teacher"} for name in ("prefix", "demonstration", "elicitive", "refine")),
              {"name": "nparam", "chosen": "teacher", "rejected": "student"},
              {"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}]


def strategies(*names):
    return [entry for entry in STRATEGIES if entry["name"] in names]


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


def write_config(path, directory, model, **sections):
    """A run with one model in all roles; `sections` change keys of the config's sections."""
    models = {name: {"path": str(model)} for name in ("teacher", "student", "rival")}
    config = {
        "run": {"directory": str(directory), "device": "cpu"},
        "models": models,
        "instructions": {"path": str(INSTRUCTIONS), "limit": 4, "held_out": 2},
        "strategies": STRATEGIES,
        "synthesis": {"max_new_tokens": 12, "max_thought_tokens": 4, "batch_size": 8},
        "judge": {"model": "teacher"},
        "train": {"model": "student", "beta": 0.1, "learning_rate": 1e-5, "global_batch_size": 8, "epochs": 2,
                  "exclude_flags": ["identical", "empty"], "checkpoint_steps": 1},
        "evaluate": {"baseline": "student", "judge": "teacher", "max_new_tokens": 12},
    }
    for section, values in sections.items():
        config[section] = values if isinstance(values, list) else {**config.get(section, {}), **values}
    return write_json(path, config)
