#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace popalign {

/// The folder `train` of a run.
class TrainDirectory {
  public:
    TrainDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    const std::filesystem::path& path() const noexcept { return path_; }

    /// A line a logged step, with TRL's names.
    std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
    /// A folder a checkpoint of the trained model; it appears under its name when it is whole.
    std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
    /// Those of PPO's critic, by the same names.
    std::filesystem::path critic_checkpoints() const { return path_ / "critic_checkpoints"; }
    /// The fingerprint of the training that is done: a run that has it trains no more.
    std::filesystem::path finished() const { return path_ / "finished.json"; }

  private:
    std::filesystem::path path_;
};

/// The files and folders of a run (`run.directory`), or of a part of a sweep. Names here are fixed:
/// job scripts, `analysis/` and users rely on them.
class RunDirectory {
  public:
    explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    const std::filesystem::path& path() const noexcept { return path_; }

    /// What `synthesize` makes: an HDF5 pair file (store/pairs/pair_store.hpp), unless `run.pairs`
    /// names another one. `judge` adds verdicts to it, `train` reference log-probabilities.
    std::filesystem::path pairs() const { return path_ / "pairs.h5"; }
    /// The pairs made so far, of `synthesize --merge-only`.
    std::filesystem::path pairs_so_far() const { return path_ / "pairs-so-far.h5"; }
    /// Journals of answers, in a folder by the hash of what decides them.
    std::filesystem::path journals(std::string_view answers_hash) const {
        return path_ / "synthesis" / answers_hash.substr(0, 16);
    }

    /// What `judge` makes beside the verdicts.
    std::filesystem::path contrast_accuracy() const { return path_ / "contrast_accuracy.json"; }
    /// Journals of judgements, of `judge` and of evaluations.
    std::filesystem::path verdicts() const { return path_ / "verdicts"; }
    /// Journals of the answers that evaluations ask for.
    std::filesystem::path answers() const { return path_ / "answers"; }

    TrainDirectory train() const { return path_ / "train"; }
    /// The aligned model: an HF directory that `transformers` loads as it is.
    std::filesystem::path model() const { return path_ / "model"; }

    /// The figures of an evaluation; its items lie beside them as .jsonl. Those whose JSON other
    /// code reads have names of their own here.
    std::filesystem::path evaluation(const std::string& name) const {
        return path_ / "evaluate" / (name + ".json");
    }
    std::filesystem::path preference() const { return evaluation("preference"); }
    std::filesystem::path win_rate() const { return evaluation("win_rate"); }

    /// A line a stage: its time, energy, tokens and memory. A sweep's are below it.
    std::filesystem::path cost() const { return path_ / "cost.jsonl"; }

    /// Of a part of a sweep: its effective config and how far it is.
    std::filesystem::path config() const { return path_ / "config.yaml"; }
    std::filesystem::path status() const { return path_ / "status.json"; }
    /// Of a whole sweep: a row a run, and the lists of its jobs.
    std::filesystem::path results() const { return path_ / "results.csv"; }
    std::filesystem::path slurm() const { return path_ / "slurm"; }

  private:
    std::filesystem::path path_;
};

}  // namespace popalign
