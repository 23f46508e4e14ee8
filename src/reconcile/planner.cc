#include "reconcile/planner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/status.h"
#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/occupancy.h"
#include "reconcile/rollout.h"
#include "reconcile/simulation.h"
#include "reconcile/text_check.h"

namespace fleet::reconcile {

namespace {

using Kind = PlannedChange::Kind;
using Verb = PlanRequest::Verb;

constexpr size_t kMaxNewMachines = 10'000;

// What runs on machines that are there and stay, by unit.
using Places = std::map<std::string, std::set<std::string>>;

Places PlacesIn(const ClusterView& view) {
  Places places;
  for (const auto& [place, stored] : view.assignments) {
    if (stored.value.state == AssignmentState::kGone) continue;
    const auto* machine = view.machines.Find(place.machine);
    if (machine == nullptr || machine->value.leaving) continue;
    places[place.unit].insert(place.machine);
  }
  return places;
}

bool IsWanted(const ClusterView& view, const std::string& unit) {
  const auto* record = view.units.Find(unit);
  return record != nullptr && record->value.desired != DesiredState::kInactive && !IsTemplate(unit);
}

class Planner {
 public:
  Planner(const ClusterView& view, const EngineSettings& settings)
      : registry_(view), simulation_(&registry_, ForPlanning(settings, view)) {}

  absl::StatusOr<Plan> Run(const ClusterView& view, const PlanRequest& request) {
    RETURN_IF_ERROR(Settle());
    const ClusterViewPtr before = registry_.view();
    simulation_.events.clear();
    RETURN_IF_ERROR(Apply(request));
    RETURN_IF_ERROR(Settle());
    const ClusterViewPtr after = registry_.view();
    NoteReasons();
    Plan plan = {view.revision, Differences(*before, *after)};
    if (request.verb == Verb::kDrain) AddThoseThatStay(request.machine, plan.changes);
    return plan;
  }

 private:
  // How it ends does not depend on how much is moved at once.
  static EngineSettings ForPlanning(EngineSettings settings, const ClusterView& view) {
    settings.rebalances = false;
    // What is to come of it, not how long that takes.
    settings.loss_grace = settings.mass_loss_hold = absl::ZeroDuration();
    settings.isolation_stop_timeout = -absl::InfiniteDuration();
    settings.disruption_budget = {.amount = static_cast<int64_t>(view.machines.size()) + 1};
    return settings;
  }

  absl::Status Settle() {
    const size_t max_turns = 100 + 4 * (registry_.records().units.size() + replicas_);
    if (simulation_.Settle(max_turns)) return absl::OkStatus();
    return absl::InternalError("the plan does not come to rest; please report this");
  }

  absl::Status Apply(const PlanRequest& request) {
    switch (request.verb) {
      case Verb::kStart:
        for (const PlannedUnit& unit : request.units) RETURN_IF_ERROR(Start(unit));
        return absl::OkStatus();
      case Verb::kDestroy:
        for (const PlannedUnit& unit : request.units) {
          if (registry_.records().units.Find(unit.name) == nullptr) return NoSuchUnit(unit.name);
        }
        for (const PlannedUnit& unit : request.units) registry_.EraseUnit(unit.name);
        return absl::OkStatus();
      case Verb::kDrain: {
        RETURN_IF_ERROR(CheckMachine(request.machine));
        const auto* stored = registry_.records().settings.Find(request.machine);
        MachineSettings settings = stored == nullptr ? MachineSettings{} : stored->value;
        settings.Drain(absl::InfiniteFuture(), /*forces=*/false);
        registry_.PutSettings(request.machine, std::move(settings));
        return absl::OkStatus();
      }
      case Verb::kScale:
        return Scale(request);
      case Verb::kRebalance:
        return Rebalance(request.max_moves.value_or(std::numeric_limits<size_t>::max()));
      case Verb::kLose:
        RETURN_IF_ERROR(CheckMachine(request.machine));
        registry_.LoseMachine(request.machine);
        return absl::OkStatus();
      case Verb::kAdd:
        return AddMachines(request);
    }
    return absl::InvalidArgumentError("unknown verb");
  }

  static absl::Status NoSuchUnit(const std::string& name) {
    return absl::NotFoundError(fmt::format("unit {} does not exist", name));
  }

  absl::Status CheckMachine(const std::string& id) const {
    if (registry_.records().machines.Find(id) != nullptr) return absl::OkStatus();
    return absl::NotFoundError(fmt::format("there is no machine {}", id));
  }

  // The text that a unit is started with: the given one, the stored one, or its template's.
  absl::StatusOr<std::string> TextOf(const PlannedUnit& unit, const UnitName& name) {
    if (unit.file != nullptr) {
      if (registry_.records().contents.Find(unit.file->hash()) == nullptr) {
        registry_.PutContent(unit.file);
      }
      return unit.file->hash();
    }
    const auto& units = registry_.records().units;
    const auto* record = units.Find(unit.name);
    if (record == nullptr && name.is_instance()) record = units.Find(name.TemplateName());
    if (record == nullptr) return NoSuchUnit(unit.name);
    return record->value.content_hash;
  }

  absl::Status Start(const PlannedUnit& unit) {
    ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(unit.name));
    if (name.is_template()) {
      return absl::InvalidArgumentError(
          fmt::format("{} is a template: name an instance of it", unit.name));
    }
    ASSIGN_OR_RETURN(const std::string text, TextOf(unit, name));
    if (const auto* content = registry_.records().contents.Find(text); content != nullptr) {
      RETURN_IF_ERROR(CheckText(registry_.records(), name, *content->value.file).status());
    }
    const auto* stored = registry_.records().units.Find(unit.name);
    UnitRecord record =
        stored == nullptr ? UnitRecord{.uid = "planned " + unit.name} : stored->value;
    record.desired = DesiredState::kLaunched;
    record.content_hash = text;
    if (stored == nullptr || record != stored->value) {
      registry_.PutUnit(unit.name, std::move(record));
    }
    return absl::OkStatus();
  }

  absl::Status Scale(const PlanRequest& request) {
    if (request.units.size() != 1) {
      return absl::InvalidArgumentError("scale takes one template");
    }
    if (request.count > static_cast<size_t>(kMaxReplicas)) {
      return absl::InvalidArgumentError(
          fmt::format("{} instances are too many, at most {}", request.count, kMaxReplicas));
    }
    const PlannedUnit& planned = request.units[0];
    ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(planned.name));
    if (!name.is_template()) {
      return absl::InvalidArgumentError(fmt::format("{} is not a template", planned.name));
    }
    const auto* stored = registry_.records().units.Find(planned.name);
    UnitRecord record =
        stored == nullptr ? UnitRecord{.uid = "planned " + planned.name} : stored->value;
    ASSIGN_OR_RETURN(record.content_hash, TextOf(planned, name));
    record.replicas.reset();
    if (!request.resets) record.replicas = static_cast<int64_t>(request.count);
    const auto text = ReadRequirements(registry_.records(), planned.name, record.content_hash);
    const int64_t kept = record.replicas.value_or(text.ok() ? (*text)->replicas.value_or(0) : 0);
    registry_.PutUnit(planned.name, std::move(record));
    replicas_ = static_cast<size_t>(kept);
    for (const std::string& unit : ReplicasToStart(registry_.records(), planned.name, kept)) {
      RETURN_IF_ERROR(Start({unit, nullptr}));
    }
    return absl::OkStatus();
  }

  absl::Status Rebalance(size_t max_moves) {
    for (const RebalanceMove& move : simulation_.engine.FindMoves(max_moves)) {
      UnitRecord record = registry_.records().units.Find(move.unit)->value;
      record.move_to = move.to;
      registry_.PutUnit(move.unit, std::move(record));
      reasons_.emplace(std::pair(move.unit, std::string()), move.reason);
    }
    return absl::OkStatus();
  }

  absl::Status AddMachines(const PlanRequest& request) {
    RETURN_IF_ERROR(CheckMachine(request.machine));
    if (request.count > kMaxNewMachines) {
      return absl::InvalidArgumentError(
          fmt::format("{} machines are too many, at most {}", request.count, kMaxNewMachines));
    }
    const auto& machines = registry_.records().machines;
    const MachineRecord like = machines.Find(request.machine)->value;
    const auto* settings = registry_.records().settings.Find(request.machine);
    const MachineRecord record = {
        .metadata = EffectiveMetadata(like, settings == nullptr ? nullptr : &settings->value),
        .milli_cores = like.milli_cores,
        .memory_bytes = like.memory_bytes,
        .features = like.features};
    size_t number = 0;
    for (size_t added = 0; added < request.count; ++added) {
      std::string id;
      do {
        id = fmt::format("new-{}", ++number);
      } while (machines.Find(id) != nullptr || registry_.records().settings.Find(id) != nullptr);
      registry_.PutMachine(id, record);
    }
    return absl::OkStatus();
  }

  // What the engine said first of a unit's leaving, and last of its coming somewhere.
  void NoteReasons() {
    for (const EventEntry& event : simulation_.events) {
      std::string reason = event.reason;
      if (event.kind == "placed" || event.kind == "adopted") {
        arrivals_.insert_or_assign({event.unit, event.machine}, std::move(reason));
      } else if (event.kind != "ended" && event.kind != "cleared" && event.kind != "refused" &&
                 event.kind != "nominated") {
        reasons_.try_emplace({event.unit, ""}, std::move(reason));
      }
    }
  }

  std::string ReasonOf(const std::string& unit, const std::string& arrival) const {
    const auto leaves = reasons_.find({unit, ""});
    if (leaves != reasons_.end()) return leaves->second;
    const auto comes = arrivals_.find({unit, arrival});
    return comes == arrivals_.end() ? "" : comes->second;
  }

  std::vector<PlannedChange> Differences(const ClusterView& before, const ClusterView& after) {
    const Places was = PlacesIn(before);
    const Places is = PlacesIn(after);
    static const std::set<std::string> kNowhere;
    const auto places = [](const Places& all, const std::string& unit) -> const auto& {
      const auto it = all.find(unit);
      return it == all.end() ? kNowhere : it->second;
    };
    std::set<std::string> units;
    for (const auto& [unit, machines] : was) {
      if (places(is, unit) != machines) units.insert(unit);
    }
    for (const auto& [unit, machines] : is) {
      if (places(was, unit) != machines) units.insert(unit);
    }
    for (const auto& [unit, record] : after.units) {
      if (IsWanted(after, unit) && !IsWanted(before, unit)) units.insert(unit);
    }
    std::vector<PlannedChange> changes;
    for (const std::string& unit : units) {
      AddChanges(unit, places(was, unit), places(is, unit), after, changes);
    }
    Sort(changes);
    return changes;
  }

  void AddChanges(const std::string& unit, const std::set<std::string>& was,
                  const std::set<std::string>& is, const ClusterView& after,
                  std::vector<PlannedChange>& changes) const {
    std::vector<std::string> left;
    std::vector<std::string> came;
    std::set_difference(was.begin(), was.end(), is.begin(), is.end(), std::back_inserter(left));
    std::set_difference(is.begin(), is.end(), was.begin(), was.end(), std::back_inserter(came));
    const bool is_wanted = IsWanted(after, unit);
    if (was.size() == 1 && left.size() == 1 && came.size() == 1) {
      changes.push_back({Kind::kMove, unit, left[0], came[0], ReasonOf(unit, came[0])});
      return;
    }
    if (is.empty() && is_wanted) {
      const UnitRecord& record = after.units.Find(unit)->value;
      changes.push_back({Kind::kWait, unit, left.empty() ? "" : left[0], "",
                         record.refusal.empty() ? ReasonOf(unit, "") : record.refusal});
      return;
    }
    for (const std::string& machine : left) {
      std::string reason = ReasonOf(unit, "");
      const auto* record = after.machines.Find(machine);
      if (record == nullptr) reason = fmt::format("its machine {} is lost", machine);
      changes.push_back({Kind::kStop, unit, machine, "", std::move(reason)});
    }
    for (const std::string& machine : came) {
      const auto comes = arrivals_.find({unit, machine});
      changes.push_back({Kind::kPlace, unit, "", machine,
                         comes == arrivals_.end() ? ReasonOf(unit, machine) : comes->second});
    }
  }

  void AddThoseThatStay(const std::string& machine, std::vector<PlannedChange>& changes) {
    for (HeldUnit& held : simulation_.engine.FindHeld(machine)) {
      changes.push_back({Kind::kStay, std::move(held.unit), machine, "", std::move(held.reason)});
    }
    Sort(changes);
  }

  static void Sort(std::vector<PlannedChange>& changes) {
    std::sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) {
      return std::tie(a.unit, a.machine, a.from) < std::tie(b.unit, b.machine, b.from);
    });
  }

  using Key = std::pair<std::string, std::string>;  // unit, machine
  SimulatedRegistry registry_;
  Simulation simulation_;
  size_t replicas_ = 0;                 // that are to be made
  std::map<Key, std::string> reasons_;  // without a machine
  std::map<Key, std::string> arrivals_;
};

}  // namespace

absl::StatusOr<Plan> MakePlan(const ClusterViewPtr& view, const EngineSettings& settings,
                              const PlanRequest& request) {
  return Planner(*view, settings).Run(*view, request);
}

absl::StatusOr<std::vector<RebalanceMove>> PlanRebalance(const ClusterViewPtr& view,
                                                         const EngineSettings& settings,
                                                         size_t max_moves) {
  EngineReconciler engine(settings);
  engine.Apply({view, {}, /*reset=*/true});
  return engine.FindMoves(max_moves);
}

std::vector<std::string> UnitsLeftOn(const ClusterView& view, const std::string& machine) {
  const bool is_there = view.machines.Find(machine) != nullptr;
  std::set<std::string> units;
  const auto look = [&](const UnitOnMachine& place) {
    if (place.machine != machine) return;
    // One that is gone says no more that something has ended there.
    const auto* assigned = view.assignments.Find(place);
    const bool is_left =
        is_there ? IsLeft(view, place)
                 : assigned != nullptr && assigned->value.state != AssignmentState::kGone;
    if (is_left) units.insert(place.unit);
  };
  for (const auto& [place, assignment] : view.assignments) look(place);
  for (const auto& [place, state] : view.states) look(place);
  return {units.begin(), units.end()};
}

std::vector<HeldUnit> ExplainDrain(const ClusterViewPtr& view, const EngineSettings& settings,
                                   const std::string& machine) {
  EngineReconciler engine(settings);
  engine.Apply({view, {}, /*reset=*/true});
  return engine.FindHeld(machine);
}

absl::StatusOr<UnitExplanation> ExplainUnit(const ClusterViewPtr& view,
                                            const EngineSettings& settings,
                                            const std::string& unit) {
  if (view->units.Find(unit) == nullptr && view->unreadable.Find("units/" + unit) == nullptr) {
    return absl::NotFoundError(fmt::format("unit {} does not exist", unit));
  }
  EngineReconciler engine(settings);
  engine.Apply({view, {}, /*reset=*/true});
  return engine.Explain(unit);
}

}  // namespace fleet::reconcile
