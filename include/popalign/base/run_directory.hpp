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

    /// One line per logged step, with TRL's names.
    std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
    /// One folder per checkpoint of the trained model; it appears under its name when it is
    /// complete.
    std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
    /// Checkpoints of PPO's critic, with the same folder names.
    std::filesystem::path critic_checkpoints() const { return path_ / "critic_checkpoints"; }
    /// Fingerprint of the finished training. A run that has this file does not train again.
    std::filesystem::path finished() const { return path_ / "finished.json"; }

  private:
    std::filesystem::path path_;
};

/// The files and folders of a run (`run.directory`), or of a part of a sweep. The names are fixed,
/// because job scripts, `analysis/` and users rely on them.
class RunDirectory {
  public:
    explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    const std::filesystem::path& path() const noexcept { return path_; }

    /// Output of `synthesize`: an HDF5 pair file (store/pairs/pair_file.hpp), unless `run.pairs`
    /// names another one. `judge` adds verdicts to it, `train` reference log-probabilities.
    std::filesystem::path pairs() const { return path_ / "pairs.h5"; }
    /// Output of `synthesize --merge-only`: the pairs made so far.
    std::filesystem::path pairs_so_far() const { return path_ / "pairs-so-far.h5"; }
    /// Folder of the answers' journals, named by the hash of the settings that determine the
    /// answers.
    std::filesystem::path journals(std::string_view answers_hash) const {
        return path_ / "synthesis" / answers_hash.substr(0, 16);
    }

    /// Output of `judge` beside the verdicts.
    std::filesystem::path contrast_accuracy() const { return path_ / "contrast_accuracy.json"; }
    /// Journals of the judgements of `judge` and of evaluations.
    std::filesystem::path verdicts() const { return path_ / "verdicts"; }
    /// Journals of the answers generated for evaluations.
    std::filesystem::path answers() const { return path_ / "answers"; }

    TrainDirectory train() const { return path_ / "train"; }
    /// The aligned model: an HF directory that `transformers` loads as it is.
    std::filesystem::path model() const { return path_ / "model"; }

    /// Results of an evaluation; its items are in a .jsonl file beside it. Evaluations whose JSON
    /// is read by other code have functions of their own here.
    std::filesystem::path evaluation(const std::string& name) const {
        return path_ / "evaluate" / (name + ".json");
    }
    std::filesystem::path preference() const { return evaluation("preference"); }
    std::filesystem::path win_rate() const { return evaluation("win_rate"); }

    /// One line per stage: time, energy, tokens and memory. The files of a sweep's runs are below
    /// its folder.
    std::filesystem::path cost() const { return path_ / "cost.jsonl"; }

    /// For a part of a sweep: its effective config and its progress.
    std::filesystem::path config() const { return path_ / "config.yaml"; }
    std::filesystem::path status() const { return path_ / "status.json"; }
    /// For a whole sweep: a table with one row per run, and the lists of its jobs.
    std::filesystem::path results() const { return path_ / "results.csv"; }
    std::filesystem::path slurm() const { return path_ / "slurm"; }

  private:
    std::filesystem::path path_;
};

}  // namespace popalign
