#include "api/machine_settings.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/conditional.h"
#include "base/status.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

constexpr int kMaxAttempts = 5;

class ChangeJob : public std::enable_shared_from_this<ChangeJob> {
 public:
  ChangeJob(ApiState& state, SettingsChanges changes, Responder respond,
            std::function<Response()> answer, Precondition condition)
      : state_(state),
        changes_(std::move(changes)),
        respond_(std::move(respond)),
        answer_(std::move(answer)),
        condition_(std::move(condition)) {
    for (const auto& [machine, change] : changes_) {
      const auto* settings = state_.view->settings.Find(machine);
      known_[machine] = settings ? *settings : Stored<MachineSettings>{};
    }
  }

  void Commit() {
    store::Txn txn;
    int64_t newest = 0;
    const std::string unmet = MachineOfAnotherTag();
    for (const auto& [machine, change] : changes_) {
      const Stored<MachineSettings>& known = known_[machine];
      newest = std::max(newest, known.mod_revision);
      MachineSettings settings = known.value;
      change(settings);
      const std::string key = state_.context.keys.Settings(machine);
      txn.compares.push_back({.key = key, .revision = known.mod_revision});
      if (!unmet.empty()) continue;  // only whether that is so
      if (settings != known.value && settings == MachineSettings{}) {
        txn.ops.emplace_back(store::Delete{{.key = key, .end = ""}});
      } else if (settings != known.value) {
        txn.ops.emplace_back(store::Put{.key = key, .value = registry::Encode(settings)});
      }
    }
    const bool writes = !txn.ops.empty();
    state_.context.store->Commit(std::move(txn), [self = shared_from_this(), newest, writes,
                                                  unmet](absl::StatusOr<store::TxnResult> result) {
      if (result.ok() && result->succeeded && !unmet.empty()) {
        self->respond_(PreconditionFailed(
            fmt::format(
                "the settings of machine {} are other than the request's condition asks for",
                unmet),
            TagOf(self->known_[unmet].value)));
      } else if (result.ok() && result->succeeded) {
        WhenSeen(self->state_, writes ? result->revision : newest, std::move(self->respond_),
                 std::move(self->answer_));
      } else if (!result.ok()) {
        self->Fail(result.status());
      } else if (++self->attempts_ == kMaxAttempts) {
        self->Fail(absl::AbortedError(
            "others keep changing these machines' settings; nothing was stored, try again"));
      } else {
        self->ReadAgain();
      }
    });
  }

 private:
  // One whose settings, as they are known, do not meet the condition; empty: all do.
  std::string MachineOfAnotherTag() const {
    for (const auto& [machine, known] : known_) {
      if (condition_.IsSet() && !condition_.Holds(TagOf(known.value))) return machine;
    }
    return "";
  }

  void ReadAgain() {
    waiting_ = changes_.size();
    read_status_ = absl::OkStatus();
    for (const auto& [machine, change] : changes_) {
      state_.context.store->Range(
          {.range = {.key = state_.context.keys.Settings(machine), .end = ""}},
          [self = shared_from_this(), id = machine](absl::StatusOr<store::RangeResult> result) {
            self->read_status_.Update(result.ok() ? self->Remember(id, *result) : result.status());
            if (--self->waiting_ > 0) return;
            if (self->read_status_.ok()) {
              self->Commit();
            } else {
              // The commit before had no effect, so neither has the request.
              self->Fail(absl::UnavailableError(self->read_status_.message()));
            }
          });
    }
  }

  absl::Status Remember(const std::string& machine, const store::RangeResult& result) {
    Stored<MachineSettings> known;
    if (!result.kvs.empty()) {
      ASSIGN_OR_RETURN(known.value, registry::DecodeSettings(result.kvs[0].value));
      known.mod_revision = result.kvs[0].mod_revision;
    }
    known_[machine] = std::move(known);
    return absl::OkStatus();
  }

  void Fail(const absl::Status& status) {
    if (absl::IsDeadlineExceeded(status)) {
      respond_(ErrorResponse(absl::DeadlineExceededError(
          fmt::format("the registry did not answer in time ({}): the settings may or may not have "
                      "been stored; look, and try again",
                      std::string(status.message())))));
      return;
    }
    respond_(WriteErrorResponse(status));
  }

  ApiState& state_;
  const SettingsChanges changes_;
  Responder respond_;
  std::function<Response()> answer_;
  const Precondition condition_;
  std::map<std::string, Stored<MachineSettings>> known_;
  int attempts_ = 0;
  size_t waiting_ = 0;
  absl::Status read_status_;
};

}  // namespace

void ChangeSettings(ApiState& state, SettingsChanges changes, Responder respond,
                    std::function<Response()> answer, Precondition condition) {
  std::make_shared<ChangeJob>(state, std::move(changes), std::move(respond), std::move(answer),
                              std::move(condition))
      ->Commit();
}

void ChangeSettingsOf(ApiState& state, const std::string& machine,
                      std::function<void(MachineSettings&)> change, Responder respond,
                      Precondition condition) {
  const auto tag = std::make_shared<std::string>();  // of those that were stored last
  SettingsChanges changes;
  changes[machine] = [change = std::move(change), tag](MachineSettings& settings) {
    change(settings);
    *tag = TagOf(settings);
  };
  ChangeSettings(
      state, std::move(changes), std::move(respond),
      [tag] {
        Response response = JsonResponse(204, "");
        AddSettingsTag(response, *tag);
        return response;
      },
      std::move(condition));
}

}  // namespace fleet::api
