"""Training against TRL's trainers on the same pairs in the same order, for every objective that TRL has.

A tiny random model; among the long tests SmolLM2-135M and real pairs, ten steps of five objectives. Losses, rewards and
log-probabilities must agree within 1e-4 relative and gradient norms within 1e-3 for the first three steps, and within ten
times that for the rest: float32 rounding moves Adam's first updates, and the curves part from there.
"""
import contextlib
import io
import json
import logging
import random
import shutil

import pytest
from pair_files import read_rows, write_rows

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
REAL_CASES = ["dpo", "ipo", "hinge", "robust", "apo_zero"]
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
        rows = write_rows(work / "pairs.jsonl", pairs)
        program.run("import", "--format", "trl", "--input", rows, "--output", work / "pairs.h5")

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
        self.program.run("train", "--config", directory / "run.yaml", variables={"OMP_NUM_THREADS": "2"})
        return read_rows(directory / "train/metrics.jsonl")

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
    """Trains both and compares their metrics. Returns the run of TRL."""
    ours = run.ours(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        theirs, trl = run.theirs(name)
    assert len(ours) == len(theirs) == run.steps
    complaints, worst = [], {}
    for step, (a, b) in enumerate(zip(ours, theirs)):
        for key in COMPARED:
            # The first update has rate 0: until the second policy and reference are equal up to rounding.
            if key not in b or (key == "rewards/accuracies" and step < 2):
                continue
            difference = relative_difference(a, b, key) if key in a else float("inf")
            worst[key] = max(worst.get(key, 0), difference)
            if difference > (1e-3 if key == "grad_norm" else 1e-4) * (1 if step < 3 else 10):
                complaints.append(f"step {step + 1}: {key} {a.get(key)} instead of {b[key]:.8g}")
    assert not complaints
    norm = worst.pop("grad_norm")
    print(f"{run.steps} steps, largest relative difference {max(worst.values()):.1e}, of grad_norm {norm:.1e}; "
          f"{len(worst) + 1} figures")
    assert "loss" in worst
    return trl


def relative_difference(a, b, key):
    # A reward is beta times a difference of log-probabilities of up to some hundred nat: it has their rounding.
    nats = max(1, *(abs(b.get(f"logps/{side}", 0)) for side in ("chosen", "rejected")))
    scale = max(abs(b[key]), 0.01 * BETA * nats if "/" in key or key == "kl" else 1e-3)
    return abs(a[key] - b[key]) / scale


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
    assert ours.shape[1] == 1 and (ours - theirs).abs().max() / theirs.abs().max() < 1e-3


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Skips without TRL."""
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("trl")
    datasets, transformers = pytest.importorskip("datasets"), pytest.importorskip("transformers")
    torch.set_num_threads(2)
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def tiny(program, shared_directory):
    make_model(shared_directory / "model")
    return Run(program, shared_directory / "model", shared_directory, tiny_pairs(), 4, 2, 1e-3)


@pytest.fixture(scope="module")
def real(program, model, published, shared_directory):
    pairs = real_pairs(published("ultrafeedback/pairs_1000.jsonl"))
    program.run("import", "--format", "gguf", "--input", model, "--output", shared_directory / "model")
    return Run(program, shared_directory / "model", shared_directory, pairs, 2, 1, 1e-6)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CASES)
def test_tiny_model(tiny, name):
    trl = compare(tiny, name)
    if name == "reward":
        compare_classifiers(tiny.work / name / "model", trl)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", REAL_CASES)
def test_smollm2(real, name):
    compare(real, name)
