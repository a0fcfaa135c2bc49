"""Training against TRL's trainers on the same pairs in the same order, for every objective that TRL has.

A tiny random model by default; with MODEL.gguf (SmolLM2-135M) and real pairs, ten steps of five objectives. Losses, rewards
and log-probabilities must agree within 1e-4 relative and gradient norms within 1e-3 for the first three steps, and within ten
times that for the rest: float32 rounding moves Adam's first updates, and the curves part from there.
usage: objectives_parity.py POPALIGN [MODEL.gguf PAIRS.jsonl]
"""
import contextlib
import io
import json
import logging
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
# Ours: the keys of `train`. TRL's: the trainer and its arguments.
CASES = {
    "dpo": ({}, "DPO", dict(loss_type=["sigmoid"])),
    "ipo": ({}, "DPO", dict(loss_type=["ipo"])),
    "hinge": ({}, "DPO", dict(loss_type=["hinge"])),
    "robust": (dict(label_smoothing=0.1), "DPO", dict(loss_type=["robust"], label_smoothing=0.1)),
    "apo_zero": ({}, "DPO", dict(loss_type=["apo_zero"])),
    "apo_down": ({}, "DPO", dict(loss_type=["apo_down"])),
    "exo_pair": (dict(label_smoothing=0.01), "DPO", dict(loss_type=["exo_pair"], label_smoothing=0.01)),
    "nca_pair": ({}, "DPO", dict(loss_type=["nca_pair"])),
    "bco_pair": ({}, "DPO", dict(loss_type=["bco_pair"])),
    "sppo_hard": (dict(beta=2.0), "DPO", dict(loss_type=["sppo_hard"], beta=2.0)),
    "aot": (dict(label_smoothing=0.1), "DPO", dict(loss_type=["aot"], label_smoothing=0.1)),
    "aot_unpaired": ({}, "DPO", dict(loss_type=["aot_unpaired"])),
    "discopop": ({}, "DPO", dict(loss_type=["discopop"])),
    "dpo_norm": ({}, "DPO", dict(loss_type=["sigmoid_norm"])),
    "dpo, forward_kl": (dict(f_divergence="forward_kl"), "DPO", dict(loss_type=["sigmoid"], f_divergence_type="forward_kl")),
    "dpo, js_divergence": (dict(f_divergence="js_divergence"), "DPO",
                           dict(loss_type=["sigmoid"], f_divergence_type="js_divergence")),
    "hinge, alpha_divergence": (dict(f_divergence="alpha_divergence", alpha=0.7), "DPO",
                                dict(loss_type=["hinge"], f_divergence_type="alpha_divergence", f_alpha_divergence_coef=0.7)),
    "mix": (dict(objective_weights=dict(dpo=0.8, bco_pair=0.2, sft=1.0)), "DPO",
            dict(loss_type=["sigmoid", "bco_pair", "sft"], loss_weights=[0.8, 0.2, 1.0])),
    "cpo": (dict(objective_weights=dict(cpo=1.0, sft=0.5), label_smoothing=0.1), "CPO",
            dict(loss_type="sigmoid", cpo_alpha=0.5, label_smoothing=0.1)),
    "simpo": (dict(beta=2.0, target_margin=0.7), "CPO", dict(loss_type="simpo", cpo_alpha=0.0, beta=2.0, simpo_gamma=0.7)),
    "orpo": ({}, "ORPO", {}),
    "kto": (dict(desirable_weight=1.2), "KTO", dict(desirable_weight=1.2)),
    "sft": ({}, "SFT", {}),
    "reward": (dict(reward_centering=0.01), "Reward", dict(center_rewards_coefficient=0.01)),
}
LONG = ["dpo", "ipo", "hinge", "robust", "apo_zero"]
BETA = 0.1


def make_model(directory):
    """A Llama and, beside it, the same one as a sequence classifier."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>",
                                                   pad_token="<|endoftext|>", chat_template=CHATML)
    config = transformers.LlamaConfig(
        vocab_size=len(wrapped), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=wrapped.eos_token_id, pad_token_id=wrapped.pad_token_id, num_labels=1)
    torch.manual_seed(3)
    for kind, folder in ((transformers.LlamaForCausalLM, directory), (transformers.LlamaForSequenceClassification,
                                                                      directory / "classifier")):
        model = kind(config)
        torch.manual_seed(5)
        with torch.no_grad():
            for name, tensor in model.named_parameters():
                tensor.copy_(torch.randn(tensor.shape) * 0.15 + (1.0 if "norm" in name else 0.0))
        model.save_pretrained(folder)
        wrapped.save_pretrained(folder)
        with contextlib.suppress(FileNotFoundError):  # one place for the template: the tokenizer's config
            (folder / "chat_template.jinja").unlink()
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": CHATML}))


def tiny_pairs():
    draw = random.Random(11)
    words = "blue river stone over under night seven glass song paper".split()

    def text(least, most):
        return " ".join(draw.choice(words) for _ in range(draw.randint(least, most)))

    return [dict(prompt=f"{i} {text(1, 5)}", chosen=text(2, 9), rejected=text(1, 9)) for i in range(12)]


def real_pairs(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").split("\n")[:200] if line]
    short = [row for row in rows if sum(len(row[side]) for side in ("prompt", "chosen", "rejected")) < 1000
             and row["chosen"] and row["rejected"]]
    return [{side: row[side] for side in ("prompt", "chosen", "rejected")} for row in short[:20]]


class Run:
    """What both sides train with."""

    def __init__(self, program, model, work, pairs, batch, epochs, rate):
        self.program, self.model, self.work, self.pairs = program, model, work, pairs
        self.batch, self.epochs, self.rate = batch, epochs, rate
        self.steps = epochs * len(pairs) // batch
        (work / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        self.popalign("import", "--format", "trl", "--input", work / "pairs.jsonl", "--output", work / "pairs.h5")

    def popalign(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, env=environment())
        if done.returncode != 0:
            sys.exit(f"{arguments}: {done.stderr[-3000:]}")
        return done.stdout

    def ours(self, name):
        keys, trainer, _ = CASES[name]
        directory = self.work / name.replace(", ", "-")
        directory.mkdir()
        shutil.copy(self.work / "pairs.h5", directory)
        model = self.model / "classifier" if trainer == "Reward" else self.model
        settings = {"objective": name.split(",")[0], "model": "student", "beta": BETA, "learning_rate": self.rate,
                    "epochs": self.epochs, "global_batch_size": self.batch, "shuffle": False, "exclude_flags": [],
                    "micro_batch_tokens": 600, "checkpoint_steps": 1000, **keys}
        if "objective_weights" in keys:
            del settings["objective"]
        (directory / "run.yaml").write_text(json.dumps(
            {"run": {"directory": str(directory), "device": "cpu"}, "models": {"student": {"path": str(model)}},
             "train": settings}))
        self.popalign("train", "--config", directory / "run.yaml")
        lines = (directory / "train" / "metrics.jsonl").read_text().split("\n")
        return [json.loads(line) for line in lines if line]

    def theirs(self, name):
        _, kind, arguments = CASES[name]
        trl = TrlRun(self)
        return getattr(trl, kind.lower())(arguments), trl


class TrlRun:
    """TRL's trainers on the tokens that we train on: how texts become tokens is compared elsewhere."""

    def __init__(self, run):
        import transformers

        self.run, self.losses = run, []
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(run.model)
        end = self.tokenizer.eos_token_id
        encode = lambda text: self.tokenizer(text, add_special_tokens=False)["input_ids"]
        self.texts, self.rows = [], []
        for pair in run.pairs:
            prompt = self.tokenizer.apply_chat_template([dict(role="user", content=pair["prompt"])], tokenize=False,
                                                        add_generation_prompt=True)
            self.texts.append(dict(prompt=prompt, chosen=pair["chosen"], rejected=pair["rejected"]))
            self.rows.append(dict(prompt=encode(prompt), chosen=encode(pair["chosen"]) + [end],
                                  rejected=encode(pair["rejected"]) + [end]))

    def common(self, batch=None):
        run = self.run
        return dict(output_dir=str(run.work / "trl"), per_device_train_batch_size=batch or run.batch,
                    num_train_epochs=run.epochs, learning_rate=run.rate, lr_scheduler_type="cosine",
                    warmup_steps=-(-run.steps // 10), max_grad_norm=1.0, logging_steps=1, report_to=[], save_strategy="no",
                    use_cpu=True, bf16=False, fp16=False, disable_tqdm=True, gradient_checkpointing=False,
                    remove_unused_columns=False, seed=0)

    def train(self, base, model, settings, rows, prepared=True, **overrides):
        import datasets
        import torch

        losses = self.losses

        class Ordered(base):
            def _get_train_sampler(self, *arguments, **options):
                return torch.utils.data.SequentialSampler(self.train_dataset)

            def compute_loss(self, *arguments, **options):
                result = super().compute_loss(*arguments, **options)
                losses.append(float(result[0] if isinstance(result, tuple) else result))
                return result

            if prepared:
                def _prepare_dataset(self, dataset, *arguments, **options):
                    return dataset

        for name, method in overrides.items():
            setattr(Ordered, name, method)
        torch.manual_seed(0)
        trainer = Ordered(model=model, args=settings, train_dataset=datasets.Dataset.from_list(rows),
                          processing_class=self.tokenizer)
        trainer.train()
        self.trained = trainer.model
        lines = [line for line in trainer.state.log_history if "grad_norm" in line]
        return [{**line, "loss": loss} for line, loss in zip(lines, losses, strict=True)]

    def causal(self):
        import torch
        import transformers

        return transformers.AutoModelForCausalLM.from_pretrained(self.run.model, dtype=torch.float32)

    def ids(self):
        return [dict(prompt_ids=row["prompt"], chosen_ids=row["chosen"], rejected_ids=row["rejected"]) for row in self.rows]

    def dpo(self, arguments):
        from trl import DPOConfig, DPOTrainer

        settings = DPOConfig(**{**self.common(), "beta": BETA, "max_length": None, **arguments})
        return self.train(DPOTrainer, self.causal(), settings, self.ids())

    def cpo(self, arguments):
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        settings = CPOConfig(**{**self.common(), "beta": BETA, "max_length": 2000, **arguments})
        means = arguments["loss_type"] == "simpo"
        lines = self.train(CPOTrainer, self.causal(), settings, self.texts, prepared=False)
        return [without_logps(line) if means else line for line in lines]

    def orpo(self, arguments):
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        def concatenated_forward(trainer, model, batch):
            """The likelihood term over the answer alone, where TRL counts the prompt in."""
            chosen, rejected, *rest, _ = ORPOTrainer.concatenated_forward(trainer, model, batch)
            counts = (batch["chosen_labels"][:, 1:] != -100).sum(-1)
            return (chosen, rejected, *rest, -(chosen * counts).sum() / counts.sum())

        settings = ORPOConfig(**{**self.common(), "beta": BETA, "max_length": 2000, **arguments})
        lines = self.train(ORPOTrainer, self.causal(), settings, self.texts, prepared=False,
                           concatenated_forward=concatenated_forward)
        return [without_logps(line) for line in lines]

    def kto(self, arguments):
        from trl import KTOConfig, KTOTrainer

        batch, rows = self.run.batch, []
        for begin in range(0, len(self.rows), batch):
            for side in ("chosen", "rejected"):
                for i in range(begin, begin + batch):
                    other = self.rows[i - 1]  # the first one's is the last
                    rows.append(dict(prompt_ids=self.rows[i]["prompt"], completion_ids=self.rows[i][side],
                                     KL_completion_ids=other[side], label=side == "chosen"))
        settings = KTOConfig(**{**self.common(2 * batch), "beta": BETA, "max_length": None, **arguments})
        return self.train(KTOTrainer, self.causal(), settings, rows)

    def sft(self, arguments):
        from trl import SFTConfig, SFTTrainer

        rows = [dict(input_ids=row["prompt"] + row["chosen"],
                     labels=[-100] * len(row["prompt"]) + row["chosen"]) for row in self.rows]
        settings = SFTConfig(**{**self.common(), "max_length": None, **arguments})
        return self.train(SFTTrainer, self.causal(), settings, rows)

    def reward(self, arguments):
        import torch
        import transformers
        from trl import RewardConfig, RewardTrainer

        model = transformers.AutoModelForSequenceClassification.from_pretrained(self.run.model / "classifier",
                                                                                dtype=torch.float32)
        rows = [dict(chosen_ids=row["prompt"] + row["chosen"], rejected_ids=row["prompt"] + row["rejected"],
                     chosen_input_ids=row["prompt"] + row["chosen"], rejected_input_ids=row["prompt"] + row["rejected"])
                for row in self.rows]
        settings = RewardConfig(**{**self.common(), "max_length": None, **arguments})
        return self.train(RewardTrainer, model, settings, rows)


def without_logps(line):
    """TRL's are means over tokens there, ours are sums."""
    return {key: value for key, value in line.items() if not key.startswith("logps/")}


COMPARED = ["loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen",
            "logps/rejected", "accuracy", "margin", "mean_reward", "kl", "grad_norm"]


def compare(run, name):
    ours = run.ours(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        theirs, trl = run.theirs(name)
    if len(ours) != run.steps or len(theirs) != run.steps:
        return [f"{name}: {len(ours)} and {len(theirs)} steps instead of {run.steps}"]
    complaints, worst, worst_norm, seen = [], 0.0, 0.0, set()
    if name == "reward":
        complaints += compare_classifiers(run.work / name / "model", trl)
    for step, (a, b) in enumerate(zip(ours, theirs)):
        for key in COMPARED:
            # The first update has rate 0: until the second policy and reference are equal up to rounding.
            if key not in b or (key == "rewards/accuracies" and step < 2):
                continue
            seen.add(key)
            if key not in a:
                complaints.append(f"{name}: no {key}")
                continue
            # A reward is beta times a difference of log-probabilities of up to some hundred nat: it has their rounding.
            nats = max(1, *(abs(b.get(f"logps/{side}", 0)) for side in ("chosen", "rejected")))
            scale = max(abs(b[key]), 0.01 * BETA * nats if "/" in key or key == "kl" else 1e-3)
            difference = abs(a[key] - b[key]) / scale
            limit = (1e-3 if key == "grad_norm" else 1e-4) * (1 if step < 3 else 10)
            if key == "grad_norm":
                worst_norm = max(worst_norm, difference)
            else:
                worst = max(worst, difference)
            if difference > limit:
                complaints.append(f"{name}, step {step + 1}: {key} {a[key]:.8g} instead of {b[key]:.8g}")
    if not {"loss", "grad_norm"} <= seen:
        complaints.append(f"{name}: only {sorted(seen)} compared")
    print(f"{name}: {run.steps} steps, largest relative difference {worst:.1e}, of grad_norm {worst_norm:.1e}; "
          f"{len(seen)} figures", flush=True)
    return complaints


def compare_classifiers(saved, trl):
    """What we saved, loaded by `transformers`, scores padded sequences as the model that TRL trained."""
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(saved, dtype=torch.float32)
    sequences = [torch.tensor(row["prompt"] + row[side]) for row in trl.rows for side in ("chosen", "rejected")]
    padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=model.config.pad_token_id)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in sequences], batch_first=True)
    with torch.no_grad():
        ours, theirs = (m.eval()(input_ids=padded, attention_mask=mask).logits for m in (model, trl.trained))
    difference = (ours - theirs).abs().max().item() / theirs.abs().max().item()
    print(f"reward: loaded by transformers, its scores differ by {difference:.1e} of the largest")
    return [] if ours.shape[1] == 1 and difference < 1e-3 else [f"reward: scores {ours[:4]} instead of {theirs[:4]}"]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "2", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def main():
    try:
        import torch
        import trl
        import datasets
        import transformers
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    for path in map(pathlib.Path, sys.argv[2:4]):
        if not path.exists():
            print(f"skipped: {path} is absent")
            return SKIP
    torch.set_num_threads(2)
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        work, program = pathlib.Path(folder), sys.argv[1]
        if len(sys.argv) > 2:
            convert(program, sys.argv[2], work / "model")
            run = Run(program, work / "model", work, real_pairs(pathlib.Path(sys.argv[3])), 2, 1, 1e-6)
            names = LONG
        else:
            make_model(work / "model")
            run, names = Run(program, work / "model", work, tiny_pairs(), 4, 2, 1e-3), list(CASES)
        complaints = [complaint for name in names for complaint in compare(run, name)]
    print(f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    for complaint in complaints[:40]:
        print(f"failed: {complaint}")
    return 1 if complaints else 0


def convert(program, gguf, directory):
    subprocess.run([program, "import", "--format", "gguf", "--input", gguf, "--output", directory], check=True,
                   capture_output=True, env=environment())


if __name__ == "__main__":
    sys.exit(main())
